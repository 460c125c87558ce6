//! The words of HAR 1.2, as they stand in the file. Names that begin with an underscore are additions that the format allows
//! and other tools use too.

use serde::Serialize;
use serde_json::Value;

/// A visit to a page.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    pub started_date_time: String,
    pub id: String,
    pub title: String,
    pub page_timings: PageTimings,
}

/// Milliseconds since the visit began; -1 where the moment never came.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageTimings {
    pub on_content_load: f64,
    pub on_load: f64,
}

/// One request and what came of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pageref: Option<String>,
    pub started_date_time: String,
    /// Milliseconds.
    pub time: f64,
    pub request: Request,
    pub response: Response,
    pub cache: Cache,
    pub timings: Timings,
    #[serde(rename = "serverIPAddress", skip_serializing_if = "Option::is_none")]
    pub server_ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(rename = "_resourceType")]
    pub resource_type: String,
    /// `memory`, `disk` or `prefetch`.
    #[serde(rename = "_fromCache", skip_serializing_if = "Option::is_none")]
    pub from_cache: Option<&'static str>,
    #[serde(rename = "_webSocketMessages", skip_serializing_if = "Option::is_none")]
    pub web_socket_messages: Option<Vec<WebSocketMessage>>,
}

/// Nothing is known of the cache's entries.
#[derive(Debug, Serialize)]
pub struct Cache {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub method: String,
    pub url: String,
    pub http_version: String,
    pub cookies: Vec<Cookie>,
    pub headers: Vec<Pair>,
    pub query_string: Vec<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_data: Option<PostData>,
    pub headers_size: i64,
    pub body_size: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// 0: there was none.
    pub status: i64,
    pub status_text: String,
    pub http_version: String,
    pub cookies: Vec<Cookie>,
    pub headers: Vec<Pair>,
    pub content: Content,
    #[serde(rename = "redirectURL")]
    pub redirect_url: String,
    pub headers_size: i64,
    pub body_size: i64,
    #[serde(rename = "_transferSize")]
    pub transfer_size: i64,
    #[serde(rename = "_error", skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Bytes after decompression.
    pub size: i64,
    /// Bytes that compression saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<i64>,
    pub mime_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostData {
    pub mime_type: String,
    pub text: String,
    /// Of a form.
    pub params: Vec<Pair>,
    /// `base64` where the text is not UTF-8.
    #[serde(rename = "_encoding", skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    pub name: String,
    pub value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    pub http_only: bool,
    pub secure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_site: Option<String>,
}

/// Milliseconds; -1 where a phase does not apply. `ssl` is part of `connect`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Timings {
    pub blocked: f64,
    pub dns: f64,
    pub connect: f64,
    pub send: f64,
    pub wait: f64,
    pub receive: f64,
    pub ssl: f64,
}

impl Timings {
    /// Of a request of which only the whole is known.
    pub fn unknown(whole_ms: f64) -> Timings {
        Timings { blocked: -1.0, dns: -1.0, connect: -1.0, send: 0.0, wait: whole_ms.max(0.0), receive: 0.0, ssl: -1.0 }
    }

    pub fn whole(&self) -> f64 {
        let phases = [self.blocked, self.dns, self.connect, self.send, self.wait, self.receive];
        let sum: f64 = phases.iter().filter(|ms| **ms > 0.0).sum();
        (sum * 1e3).round() / 1e3
    }
}

#[derive(Debug, Serialize)]
pub struct WebSocketMessage {
    /// `send` or `receive`.
    #[serde(rename = "type")]
    pub direction: &'static str,
    /// Seconds since 1970.
    pub time: f64,
    pub opcode: i64,
    /// Base64 when the opcode is 2.
    pub data: String,
}

/// A program, as `creator` and `browser` name it.
#[derive(Debug, Serialize)]
pub struct Program {
    pub name: String,
    pub version: String,
}

/// Chromium's form of headers: an object; lines of one name are joined by line feeds.
pub fn header_pairs(headers: &Value) -> Vec<Pair> {
    let pairs = headers.as_object().into_iter().flatten();
    let lines = pairs.flat_map(|(name, value)| {
        let value = value.as_str().unwrap_or_default();
        value.split('\n').map(|line| Pair { name: name.clone(), value: line.to_owned() })
    });
    lines.collect()
}

/// The first header of this name.
pub fn header<'a>(headers: &'a [Pair], name: &str) -> Option<&'a str> {
    headers.iter().find(|pair| pair.name.eq_ignore_ascii_case(name)).map(|pair| pair.value.as_str())
}
