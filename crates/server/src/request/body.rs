//! A request's body: bounded in size and time, and a JSON object whatever its content type says.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde_json::{Map, Value};
use std::time::Duration;
use vitrine_model::{Code, Error};

/// Deepest nesting that serde_json reads is 128; what we ask for is never deeper than an object in an object.
const OBJECT: &str = "a JSON object";

/// How much of a body is read, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub bytes_max: usize,
    pub time_max: Duration,
}

/// Reads the whole body as a JSON object.
pub async fn object(body: Body, limits: Limits) -> Result<Map<String, Value>, Error> {
    parse(&bytes(body, limits).await?)
}

/// Reads the whole body.
pub async fn bytes(body: Body, limits: Limits) -> Result<Bytes, Error> {
    let read = tokio::time::timeout(limits.time_max, whole(body, limits.bytes_max)).await;
    read.unwrap_or_else(|_| Err(Error::invalid("body", "was not sent in time")))
}

/// Reads bytes as a JSON object.
pub fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::invalid("body", format!("expected {OBJECT}"))),
        Err(error) => Err(Error::invalid("body", format!("expected {OBJECT}; {error}"))),
    }
}

async fn whole(mut body: Body, bytes_max: usize) -> Result<Bytes, Error> {
    let too_large = || {
        Error::new(Code::PayloadTooLarge, format!("the body is larger than {bytes_max} bytes")).with("limit", bytes_max)
    };
    // A client that announces too much and waits for leave to send it is told before it sends anything.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::invalid("body", "broke off").because(error))?;
        let Ok(data) = frame.into_data() else { continue };
        if kept.len() + data.len() > bytes_max {
            return Err(too_large());
        }
        kept.extend_from_slice(&data);
    }
    Ok(kept.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes_max: 64, time_max: Duration::from_secs(5) };

    #[tokio::test]
    async fn only_an_object_within_the_limit_is_read() {
        let fields = object(Body::from(r#"{"weight":"light"}"#), LIMITS).await.unwrap();
        assert_eq!(fields["weight"], "light");
        for wrong in ["", "[]", "1", "null", "{", "{\"a\":1}x", "\u{feff}{}", "\"\""] {
            let error = object(Body::from(wrong), LIMITS).await.unwrap_err();
            assert_eq!(error.code, Code::InvalidRequest, "{wrong}");
        }
        let error = object(Body::from("[".repeat(60)), LIMITS).await.unwrap_err();
        assert_eq!(error.code, Code::InvalidRequest);
        for size in [65, 10 * 1024 * 1024] {
            let error = object(Body::from(" ".repeat(size)), LIMITS).await.unwrap_err();
            assert_eq!(error.code, Code::PayloadTooLarge);
        }
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_given_up() {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let soon = Limits { time_max: Duration::from_millis(20), ..LIMITS };
        let error = object(Body::from_stream(never), soon).await.unwrap_err();
        assert_eq!(error.code, Code::InvalidRequest);
    }
}
