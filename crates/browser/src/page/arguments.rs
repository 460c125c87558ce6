//! What a call was given. Positions and options as documented; what is of another type counts as left out, and what has to
//! be there is asked for in the words by which clients know an invalid argument.

use super::failure::Failure;
use serde_json::{Map, Value};
use std::time::Duration;

/// What a call may take when it says nothing, and what it can ask for.
const LIMIT: Duration = Duration::from_secs(30);
const LIMIT_MIN: Duration = Duration::from_millis(100);
const LIMIT_MAX: Duration = Duration::from_secs(120);

/// Values in all arguments of a call, those within others too. Each takes far more memory than it has characters.
const VALUES_MAX: usize = 1_000;

/// The arguments of a call of `method`, by place.
#[derive(Clone, Debug)]
pub(super) struct Arguments {
    method: &'static str,
    values: Vec<Value>,
}

/// The fields of one argument that is an object; none of any other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options<'a>(Option<&'a Map<String, Value>>);

impl Arguments {
    pub fn new(method: &'static str, values: Vec<Value>) -> Arguments {
        Arguments { method, values }
    }

    /// Fails for more of them than any method takes.
    pub fn checked(self) -> Result<Arguments, Failure> {
        match self.values.iter().map(count).sum::<usize>() > VALUES_MAX {
            true => Err(Failure::requires(self.method, &format!("an object of at most {VALUES_MAX} values"))),
            false => Ok(self),
        }
    }

    pub fn method(&self) -> &'static str {
        self.method
    }

    pub fn at(&self, place: usize) -> Option<&Value> {
        self.values.get(place).filter(|value| !value.is_null())
    }

    pub fn options(&self, place: usize) -> Options<'_> {
        Options(self.at(place).and_then(Value::as_object))
    }

    /// A text that has to be there: "click requires a non-empty selector".
    pub fn text(&self, place: usize, name: &str) -> Result<&str, Failure> {
        let text = self.at(place).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Failure::requires(self.method, &format!("a non-empty {name}")))
    }

    /// A place in a list.
    pub fn index(&self, place: usize, name: &str) -> Result<usize, Failure> {
        let index = self.at(place).and_then(whole).and_then(|index| usize::try_from(index).ok());
        index.ok_or_else(|| Failure::requires(self.method, &format!("a non-empty {name}")))
    }

    /// How long the call may take: `timeoutMs` of whichever argument has it.
    pub fn limit(&self) -> Duration {
        let given = |value: &Value| Options(value.as_object()).number("timeoutMs");
        // An action's own options are a field of the argument.
        let within = |value: &Value| value.as_object()?.values().find_map(given);
        let wish = self.values.iter().find_map(|value| given(value).or_else(|| within(value)));
        let limit =
            wish.map_or(LIMIT, |ms| Duration::from_secs_f64(ms.clamp(0.0, LIMIT_MAX.as_millis() as f64) / 1000.0));
        limit.clamp(LIMIT_MIN, LIMIT_MAX)
    }
}

impl<'a> Options<'a> {
    pub fn get(self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| !value.is_null())
    }

    pub fn text(self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    pub fn number(self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    /// A whole number, kept within bounds.
    pub fn count(self, name: &str, default: u64, max: u64) -> u64 {
        self.get(name).and_then(whole).map_or(default, |count| count.clamp(0, max as i64) as u64)
    }

    pub fn is(self, name: &str) -> bool {
        self.get(name) == Some(&Value::Bool(true))
    }

    pub fn is_not(self, name: &str) -> bool {
        self.get(name) == Some(&Value::Bool(false))
    }
}

/// A value and all within it; what is read from JSON is not nested deeply.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// 3 and 3.0.
fn whole(value: &Value) -> Option<i64> {
    let number = value.as_f64()?;
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_takes_a_few_values() {
        let checked = |values| Arguments::new("click", values).checked();
        assert!(checked(vec![json!("a"), json!({ "fields": ["text", "href"] })]).is_ok());
        assert!(checked(vec![json!([vec![json!({ "": 0 }); VALUES_MAX]])]).is_err());
    }

    #[test]
    fn what_is_missing_is_asked_for_in_the_words_that_clients_know() {
        let arguments = Arguments::new("click", vec![json!(""), json!({"timeoutMs": 5})]);
        assert_eq!(arguments.text(0, "selector").expect_err("empty").message, "click requires a non-empty selector");
        assert_eq!(arguments.limit(), LIMIT_MIN);
        assert_eq!(Arguments::new("click", vec![json!({"timeoutMs": 1e300})]).limit(), LIMIT_MAX);
        assert_eq!(Arguments::new("click", Vec::new()).limit(), LIMIT);
        let acted = Arguments::new("act", vec![json!({"click": {"selector": "a", "timeoutMs": 60_000}})]);
        assert_eq!(acted.limit(), Duration::from_secs(60));
        assert!(Arguments::new("closeTab", vec![json!(-1)]).index(0, "index").is_err());
        assert_eq!(Arguments::new("closeTab", vec![json!(1.0)]).index(0, "index"), Ok(1));
    }
}
