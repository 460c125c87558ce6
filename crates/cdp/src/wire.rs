//! The JSON envelope of the protocol and the two traits that the generated types implement.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A request of the protocol: its own parameters, serialized.
pub trait Command: Serialize {
    /// `Domain.name`.
    const METHOD: &'static str;
    /// What the browser answers.
    type Response: DeserializeOwned;
}

/// A notification of the protocol: its own parameters, deserialized.
pub trait Event: DeserializeOwned {
    /// `Domain.name`.
    const METHOD: &'static str;
}

/// The answer of a command that only says that it was done.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request<'a, C> {
    pub id: u64,
    pub method: &'static str,
    pub params: &'a C,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a str>,
}

/// Anything that the browser sends. Parameters and results stay raw: only who asked for them decodes them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Incoming<'a> {
    pub id: Option<u64>,
    #[serde(borrow)]
    pub method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub result: Option<&'a RawValue>,
    pub error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub code: i64,
    pub message: String,
}

/// The part of `message` that `value` was parsed from, without a copy: answers of 100 MB exist.
pub(crate) fn slice(message: &Bytes, value: Option<&RawValue>) -> Bytes {
    value.map_or(Bytes::from_static(b"{}"), |value| message.slice_ref(value.get().as_bytes()))
}
