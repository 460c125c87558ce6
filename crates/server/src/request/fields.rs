//! The fields of a JSON object, each read with its type, range and name, so that whatever is wrong is told by its name.
//!
//! A field that is missing is `None`; one that is there with a wrong type is an error, `null` too.

use super::query::ID_TEXT_BYTES_MAX;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use vitrine_model::Error;

/// An object's fields. Unknown ones are ignored.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    /// Name of the object inside the body, empty for the body itself.
    path: String,
}

impl<'a> Fields<'a> {
    /// The fields of a body.
    pub fn of(map: &'a Map<String, Value>) -> Self {
        Self { map, path: String::new() }
    }

    /// The full name of a field, for example `proxy.host`.
    pub fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// The names of all fields.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.map.keys().map(String::as_str)
    }

    /// The field as it stands.
    pub fn value(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field)
    }

    /// An error that names the field.
    pub fn wrong(&self, field: &str, expected: impl std::fmt::Display) -> Error {
        Error::invalid(&self.name(field), expected)
    }

    /// The field, or an error that says that it is missing.
    pub fn required<T>(&self, field: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.wrong(field, "is missing"))
    }

    /// One of a closed list of words.
    pub fn word<T: Copy>(
        &self,
        field: &str,
        all: &[T],
        as_str: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.map.get(field) else { return Ok(None) };
        let found = value.as_str().and_then(|word| all.iter().copied().find(|known| as_str(*known) == word));
        let words = || all.iter().map(|known| as_str(*known)).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| self.wrong(field, format!("expected one of {}", words())))
    }

    /// `true` or `false`.
    pub fn flag(&self, field: &str) -> Result<Option<bool>, Error> {
        let Some(value) = self.map.get(field) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(field, "expected true or false"))
    }

    /// A whole number within a range. `1e3` is whole; what is too large for any counter counts as the largest.
    pub fn integer(&self, field: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Error> {
        let Some(value) = self.map.get(field) else { return Ok(None) };
        let whole = |number: f64| (number.fract() == 0.0 && number >= 0.0).then_some(number as u64);
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        let expected = || match *range.end() {
            u64::MAX => format!("expected a whole number of at least {}", range.start()),
            end => format!("expected a whole number from {} to {end}", range.start()),
        };
        number.filter(|number| range.contains(number)).map(Some).ok_or_else(|| self.wrong(field, expected()))
    }

    /// A number within a range.
    pub fn number(&self, field: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Error> {
        let Some(value) = self.map.get(field) else { return Ok(None) };
        let expected = || format!("expected a number from {} to {}", range.start(), range.end());
        let number = value.as_f64().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| self.wrong(field, expected()))
    }

    /// Text of so many bytes, without control characters.
    pub fn text(&self, field: &str, bytes: RangeInclusive<usize>) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.map.get(field) else { return Ok(None) };
        let plain = |text: &&str| bytes.contains(&text.len()) && !text.chars().any(char::is_control);
        let expected = || format!("expected text of {} to {} bytes", bytes.start(), bytes.end());
        value.as_str().filter(plain).map(Some).ok_or_else(|| self.wrong(field, expected()))
    }

    /// Text of so many bytes, whatever its characters.
    pub fn content(&self, field: &str, bytes: RangeInclusive<usize>) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.map.get(field) else { return Ok(None) };
        let expected = || format!("expected text of {} to {} bytes", bytes.start(), bytes.end());
        let text = value.as_str().filter(|text| bytes.contains(&text.len()));
        text.map(Some).ok_or_else(|| self.wrong(field, expected()))
    }

    /// Text that a program can be given: anything but NUL.
    pub fn argument(&self, field: &str, bytes: RangeInclusive<usize>) -> Result<Option<&'a str>, Error> {
        let text = self.content(field, bytes)?;
        match text.is_some_and(|text| text.contains('\0')) {
            true => Err(self.wrong(field, "expected text without NUL")),
            false => Ok(text),
        }
    }

    /// A list of texts that a program can be given.
    pub fn arguments(&self, field: &str, count_max: usize, bytes_max: usize) -> Result<Option<Vec<&'a str>>, Error> {
        let Some(value) = self.map.get(field) else { return Ok(None) };
        let expected =
            || format!("expected a list of at most {count_max} texts of at most {bytes_max} bytes without NUL");
        let list = value.as_array().filter(|list| list.len() <= count_max);
        let fits = |text: &&str| text.len() <= bytes_max && !text.contains('\0');
        let texts = list.and_then(|list| list.iter().map(|text| text.as_str().filter(fits)).collect());
        texts.map(Some).ok_or_else(|| self.wrong(field, expected()))
    }

    /// An object inside whose values are texts without NUL. Their sum with the names is bounded too; no message shows a value.
    pub fn texts_by_name(
        &self,
        field: &str,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Option<BTreeMap<&'a str, &'a str>>, Error> {
        let Some(fields) = self.object(field)? else { return Ok(None) };
        if fields.map.len() > count_max {
            return Err(self.wrong(field, format!("expected at most {count_max} names")));
        }
        let mut texts = BTreeMap::new();
        let mut left = bytes_max;
        for (name, value) in fields.map {
            let text = value.as_str().filter(|text| !text.contains('\0'));
            let text = text.ok_or_else(|| fields.wrong(name, "expected text without NUL"))?;
            let fits = left.checked_sub(name.len() + text.len());
            left = fits.ok_or_else(|| self.wrong(field, format!("expected at most {bytes_max} bytes in all")))?;
            texts.insert(name.as_str(), text);
        }
        Ok(Some(texts))
    }

    /// An object inside.
    pub fn object(&self, field: &str) -> Result<Option<Fields<'a>>, Error> {
        let Some(value) = self.map.get(field) else { return Ok(None) };
        let map = value.as_object().ok_or_else(|| self.wrong(field, "expected an object"))?;
        Ok(Some(Fields { map, path: self.name(field) }))
    }

    /// Whether a field is an object rather than a plain value.
    pub fn is_object(&self, field: &str) -> bool {
        self.map.get(field).is_some_and(Value::is_object)
    }

    /// The `id` of an existing thing: missing is a mistake; what cannot be an id is simply not there.
    pub fn id<T: std::str::FromStr>(&self, field: &str, what: &str) -> Result<T, Error> {
        let text = self.required(field, self.text(field, 1..=ID_TEXT_BYTES_MAX)?)?;
        text.parse().map_err(|_| Error::not_found(what))
    }

    /// A list of words of a closed list, each at most once.
    pub fn words<T: Copy + PartialEq>(
        &self,
        field: &str,
        all: &[T],
        as_str: impl Fn(T) -> &'static str,
    ) -> Result<Option<Vec<T>>, Error> {
        let Some(value) = self.map.get(field) else { return Ok(None) };
        let words = value.as_array().ok_or_else(|| self.wrong(field, "expected a list"))?;
        let mut found = Vec::new();
        for word in words {
            let known = word.as_str().and_then(|word| all.iter().copied().find(|known| as_str(*known) == word));
            let known = known.ok_or_else(|| {
                let words = all.iter().map(|known| as_str(*known)).collect::<Vec<_>>().join(", ");
                self.wrong(field, format!("expected a list of {words}"))
            })?;
            if !found.contains(&known) {
                found.push(known);
            }
        }
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check<T: std::fmt::Debug>(
        value: Value,
        read: impl Fn(&Fields) -> Result<Option<T>, Error>,
    ) -> Result<(), String> {
        let body = json!({"proxy": {"it": value}});
        let fields = Fields::of(body.as_object().unwrap()).object("proxy").unwrap().unwrap();
        read(&fields).map(|found| assert!(found.is_some())).map_err(|error| {
            assert_eq!(error.context["field"], "proxy.it");
            error.message
        })
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for wrong in [json!(null), json!("5"), json!(-1), json!(1.5), json!(0), json!(11), json!([]), json!({})] {
            assert!(check(wrong.clone(), |fields| fields.integer("it", 1..=10)).is_err(), "{wrong}");
        }
        assert_eq!(check(json!(1e1), |fields| fields.integer("it", 1..=10)), Ok(()));
        assert_eq!(check(json!(1e300), |fields| fields.integer("it", 1..=u64::MAX)), Ok(()));
        for wrong in [json!(null), json!(0), json!("true"), json!([])] {
            assert!(check(wrong.clone(), |fields| fields.flag("it")).is_err(), "{wrong}");
        }
        for wrong in [json!(null), json!(1), json!(""), json!("12345"), json!("a\u{0}"), json!("é\n")] {
            assert!(
                check(wrong.clone(), |fields| fields.text("it", 1..=4).map(|text| text.map(str::len))).is_err(),
                "{wrong}"
            );
        }
        let words = |fields: &Fields| fields.word("it", &[1, 2], |number| if number == 1 { "one" } else { "two" });
        for wrong in [json!(null), json!("ONE"), json!("three"), json!(1), json!(["one"])] {
            assert!(check(wrong.clone(), words).unwrap_err().contains("one, two"), "{wrong}");
        }
        assert_eq!(check(json!("two"), words), Ok(()));
    }
}
