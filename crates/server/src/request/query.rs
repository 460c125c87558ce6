//! A request's query: names and values, each name once.

use axum::extract::FromRequestParts;
use http::request::Parts;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use vitrine_model::Error;

use crate::answer::Failure;

/// A query's names and values; of a repeated name the last counts.
#[derive(Debug, Clone, Default)]
pub struct Query(BTreeMap<String, String>);

/// Longest text that is looked up as an id; longer text cannot be one.
pub(super) const ID_TEXT_BYTES_MAX: usize = 64;

impl Query {
    /// A value as it stands.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number within a range.
    pub fn integer(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Error> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let expected = || format!("expected a whole number from {} to {}", range.start(), range.end());
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| Error::invalid(name, expected()))
    }

    /// The `id` of an existing thing: missing or empty is a mistake; what cannot be an id is simply not there.
    pub fn id<T: std::str::FromStr>(&self, what: &str) -> Result<T, Error> {
        self.named_id("id", what)
    }

    /// The same under another name.
    pub fn named_id<T: std::str::FromStr>(&self, name: &str, what: &str) -> Result<T, Error> {
        match self.text(name) {
            None | Some("") => Err(Error::invalid(name, "is missing")),
            Some(text) if text.len() > ID_TEXT_BYTES_MAX => Err(Error::invalid(name, "is too long to be an id")),
            Some(text) => text.parse().map_err(|_| Error::not_found(what)),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(pairs)| Query(pairs.into_iter().collect()))
            .map_err(|error| Failure(Error::invalid("query", "could not be read").because(error)))
    }
}
