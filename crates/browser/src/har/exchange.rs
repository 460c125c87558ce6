//! One request on its way: what Chromium has said about it so far. A request that is redirected is several hops under one
//! identifier. What the network saw (raw headers, cookies) comes in events of its own, before or after the others, in the
//! order of the hops.

use super::archive::{Cache, Content, Entry, Pair, PostData, Request, Response, Timings, header, header_pairs};
use super::text;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::collections::VecDeque;
use vitrine_cdp::protocol::network::{
    self, LoadingFailed, LoadingFinished, RequestWillBeSent, RequestWillBeSentExtraInfo, ResourceTiming, ResourceType,
    ResponseReceivedExtraInfo,
};
use vitrine_cdp::protocol::target::SessionId;

/// All hops of one identifier that are not in the file yet.
#[derive(Default)]
pub struct Exchange {
    pub hops: VecDeque<Hop>,
    request_extras: VecDeque<RequestWillBeSentExtraInfo>,
    response_extras: VecDeque<ResponseReceivedExtraInfo>,
    /// Bytes of the events that it is made of.
    pub bytes: usize,
}

/// One request with its response.
pub struct Hop {
    /// Where its body can be asked for.
    pub session: SessionId,
    pub page: Option<String>,
    sent: RequestWillBeSent,
    response: Option<network::Response>,
    request_extra: Option<RequestWillBeSentExtraInfo>,
    response_extra: Option<ResponseReceivedExtraInfo>,
    /// The network's own events come for this hop. Known with the response.
    has_extra: bool,
    from_memory: bool,
    decoded_bytes: i64,
    end: Option<End>,
}

struct End {
    timestamp: f64,
    /// On the wire, headers included.
    bytes: f64,
    failure: Option<String>,
    redirect: bool,
}

/// What became of a body.
pub enum Body {
    Text(String),
    Base64(String),
    /// Why there is none; empty when there is nothing to say.
    Absent(&'static str),
}

impl Exchange {
    /// A request, or the next hop of one that was redirected.
    pub fn sent(&mut self, mut sent: RequestWillBeSent, session: SessionId, page: Option<String>) {
        match (sent.redirect_response.take(), self.hops.back_mut()) {
            (Some(response), Some(before)) => {
                let bytes = response.encoded_data_length;
                before.respond(response, sent.redirect_has_extra_info);
                before.end = Some(End { timestamp: sent.timestamp, bytes, failure: None, redirect: true });
            }
            // The same request, told by another session: of a frame in another process, or a worker.
            (None, Some(_)) => return,
            _ => {}
        }
        self.hops.push_back(Hop {
            session,
            page,
            sent,
            response: None,
            request_extra: None,
            response_extra: None,
            has_extra: false,
            from_memory: false,
            decoded_bytes: 0,
            end: None,
        });
    }

    pub fn request_extra(&mut self, extra: RequestWillBeSentExtraInfo) {
        self.request_extras.push_back(extra);
    }

    pub fn response_extra(&mut self, extra: ResponseReceivedExtraInfo) {
        self.response_extras.push_back(extra);
    }

    pub fn responded(&mut self, response: network::Response, has_extra: bool, kind: ResourceType) {
        if let Some(hop) = self.hops.back_mut() {
            hop.sent.r#type = Some(kind);
            hop.respond(response, has_extra);
        }
    }

    pub fn found_in_memory(&mut self) {
        if let Some(hop) = self.hops.back_mut() {
            hop.from_memory = true;
        }
    }

    pub fn received(&mut self, decoded_bytes: i64) {
        if let Some(hop) = self.hops.back_mut() {
            hop.decoded_bytes = hop.decoded_bytes.saturating_add(decoded_bytes.max(0));
        }
    }

    /// `session` is where its body is.
    pub fn finished(&mut self, finished: &LoadingFinished, session: SessionId) {
        if let Some(hop) = self.hops.back_mut() {
            let (timestamp, bytes) = (finished.timestamp, finished.encoded_data_length);
            hop.session = session;
            hop.end = Some(End { timestamp, bytes, failure: None, redirect: false });
        }
    }

    pub fn failed(&mut self, failed: LoadingFailed) {
        if let Some(hop) = self.hops.back_mut() {
            let failure = match failed.blocked_reason {
                Some(reason) if failed.error_text.is_empty() => format!("blocked: {reason:?}"),
                _ => failed.error_text,
            };
            let bytes = hop.response.as_ref().map_or(0.0, |response| response.encoded_data_length);
            hop.end = Some(End { timestamp: failed.timestamp, bytes, failure: Some(failure), redirect: false });
        }
    }

    /// Whether the last hop has ended, though the network's own events may be missing.
    pub fn has_ended(&self) -> bool {
        self.hops.back().is_some_and(|hop| hop.end.is_some())
    }

    /// The first hop, when nothing more will be told about it; or at any rate, when `now`.
    pub fn take(&mut self, now: bool) -> Option<Hop> {
        let hop = self.hops.front()?;
        let (has_extra, last) = (hop.has_extra, self.hops.len() == 1);
        let complete =
            hop.end.is_some() && (!has_extra || (!self.request_extras.is_empty() && !self.response_extras.is_empty()));
        if !complete && !now {
            return None;
        }
        let mut hop = self.hops.pop_front()?;
        // A request that failed before its response never said whether they come.
        if has_extra || last {
            hop.request_extra = self.request_extras.pop_front();
            hop.response_extra = self.response_extras.pop_front();
        }
        Some(hop)
    }
}

impl Hop {
    fn respond(&mut self, response: network::Response, has_extra: bool) {
        self.response = Some(response);
        self.has_extra = has_extra;
    }

    pub fn request_id(&self) -> &network::RequestId {
        &self.sent.request_id
    }

    /// How long its body is, when there is one that can be asked for.
    pub fn body_bytes(&self) -> Option<u64> {
        let end = self.end.as_ref()?;
        let nothing = end.failure.is_some() || end.redirect || self.response.is_none() || self.decoded_bytes == 0;
        (!nothing).then_some(self.decoded_bytes.unsigned_abs())
    }

    pub fn entry(self, body: Body, secrets_kept: bool) -> Entry {
        let timings = self.timings();
        let response = self.response.as_ref();
        let from_cache = match response {
            _ if self.from_memory => Some("memory"),
            Some(response) if response.from_disk_cache == Some(true) => Some("disk"),
            Some(response) if response.from_prefetch_cache == Some(true) => Some("prefetch"),
            _ => None,
        };
        let kind = self.sent.r#type.as_ref().map_or_else(|| "other".into(), |kind| format!("{kind:?}").to_lowercase());
        Entry {
            pageref: self.page.clone(),
            started_date_time: text::moment(self.sent.wall_time),
            time: timings.whole(),
            request: self.request(secrets_kept),
            response: self.response(body, from_cache.is_some(), secrets_kept),
            cache: Cache {},
            timings,
            server_ip_address: response.and_then(|response| address(response.remote_ip_address.as_deref()?)),
            connection: response
                .filter(|response| response.connection_id > 0.0)
                .map(|response| response.connection_id.to_string()),
            comment: self.end.is_none().then(|| "had not ended".to_owned()),
            resource_type: kind,
            from_cache,
            web_socket_messages: None,
        }
    }

    fn request(&self, secrets_kept: bool) -> Request {
        let sent = &self.sent.request;
        let raw = self.request_extra.as_ref().map(|extra| &extra.headers);
        let mut headers = header_pairs(raw.unwrap_or(&sent.headers));
        let http_version = self.http_version();
        let headers_size = match raw {
            Some(_) if http_version.starts_with("HTTP/1") => {
                let line = sent.method.len() + target(&sent.url).len() + http_version.len() + 4;
                let lines = headers.iter().map(|pair| pair.name.len() + pair.value.len() + 4).sum::<usize>();
                signed(line + lines + 2)
            }
            _ => -1,
        };
        let post = post_data(sent, header(&headers, "content-type"));
        let body_size = post.as_ref().map_or(0, |(_, bytes)| *bytes);
        let mut cookies = text::cookies_sent(&headers);
        if !secrets_kept {
            text::redact_headers(&mut headers);
            text::redact_cookies(&mut cookies);
        }
        Request {
            method: sent.method.clone(),
            url: sent.url.clone(),
            http_version,
            cookies,
            headers,
            query_string: text::query(&sent.url),
            post_data: post.map(|(post, _)| post),
            headers_size,
            body_size,
        }
    }

    fn response(&self, body: Body, cached: bool, secrets_kept: bool) -> Response {
        let failure = self.end.as_ref().and_then(|end| end.failure.clone());
        let extra = self.response_extra.as_ref();
        let Some(response) = &self.response else { return no_response(extra, failure, secrets_kept) };
        let mut headers = header_pairs(extra.map_or(&response.headers, |extra| &extra.headers));
        let status = extra.map_or(response.status, |extra| extra.status_code);
        let header_bytes = extra.and_then(|extra| extra.headers_text.as_ref()).map(|text| signed(text.len()));
        let transfer_size = match &self.end {
            Some(end) if !self.from_memory => end.bytes as i64,
            _ => 0,
        };
        let body_size = self.body_on_wire(cached || status == 304, transfer_size, response, &headers);
        let compressed = header(&headers, "content-encoding").is_some() && body_size > 0;
        let mut content = Content {
            size: self.decoded_bytes,
            compression: compressed.then(|| self.decoded_bytes - body_size),
            mime_type: if response.mime_type.is_empty() { "x-unknown".into() } else { response.mime_type.clone() },
            ..Content::default()
        };
        match body {
            Body::Text(text) => content.text = Some(text),
            Body::Base64(text) => (content.text, content.encoding) = (Some(text), Some("base64")),
            Body::Absent("") => {}
            Body::Absent(why) => content.comment = Some(why),
        }
        let mut cookies = text::cookies_set(&headers);
        let redirect = self.end.as_ref().is_some_and(|end| end.redirect);
        let redirect_url = header(&headers, "location").filter(|_| redirect).unwrap_or_default().to_owned();
        if !secrets_kept {
            text::redact_headers(&mut headers);
            text::redact_cookies(&mut cookies);
        }
        let status_text = if status == response.status { response.status_text.clone() } else { String::new() };
        Response {
            status,
            status_text,
            http_version: self.http_version(),
            cookies,
            headers,
            content,
            redirect_url,
            headers_size: header_bytes.unwrap_or(-1),
            body_size,
            transfer_size,
            error: failure,
        }
    }

    /// What the body took on the wire: all but what had come with the headers. -1 where that was not told.
    fn body_on_wire(&self, cached: bool, transfer_size: i64, response: &network::Response, headers: &[Pair]) -> i64 {
        let body_size = transfer_size - response.encoded_data_length as i64;
        match (&self.end, self.decoded_bytes) {
            _ if cached => 0,
            (None, _) => -1,
            // Scripts of workers: Chromium counts what they hold and not what came.
            (Some(_), 1..) if body_size <= 0 && header(headers, "content-encoding").is_none() => self.decoded_bytes,
            (Some(_), 1..) if body_size <= 0 => -1,
            _ => body_size.max(0),
        }
    }

    /// As Chromium names it (`http/1.1`, `h2`), or nothing when there was no network.
    fn http_version(&self) -> String {
        let protocol = self.response.as_ref().and_then(|response| response.protocol.as_deref()).unwrap_or_default();
        match protocol {
            "http/0.9" | "http/1.0" | "http/1.1" => protocol.to_uppercase(),
            other => other.to_owned(),
        }
    }

    fn timings(&self) -> Timings {
        let sent = self.sent.timestamp;
        let end = self.end.as_ref().map_or(sent, |end| end.timestamp);
        match self.response.as_ref().and_then(|response| response.timing.as_ref()).filter(|_| !self.from_memory) {
            Some(timing) => phases(timing, sent, end),
            None => Timings::unknown(milliseconds(sent, end)),
        }
    }
}

/// Seconds to milliseconds, to the microsecond: what follows is noise of the clock's double.
fn milliseconds(from: f64, to: f64) -> f64 {
    ((to - from) * 1e6).round() / 1e3
}

/// Chromium's moments are milliseconds since `request_time`, -1 where one never came.
fn phases(timing: &ResourceTiming, sent: f64, end: f64) -> Timings {
    let span = |from: f64, to: f64| if from < 0.0 || to < from { -1.0 } else { ((to - from) * 1e3).round() / 1e3 };
    let first = [timing.dns_start, timing.connect_start, timing.send_start].into_iter().find(|at| *at >= 0.0);
    let queued = milliseconds(sent, timing.request_time).max(0.0);
    let finished = milliseconds(timing.request_time, end);
    Timings {
        blocked: ((queued + first.unwrap_or(0.0)) * 1e3).round() / 1e3,
        dns: span(timing.dns_start, timing.dns_end),
        connect: span(timing.connect_start, timing.connect_end),
        send: span(timing.send_start, timing.send_end).max(0.0),
        wait: span(timing.send_end, timing.receive_headers_end).max(0.0),
        receive: span(timing.receive_headers_end, finished).max(0.0),
        ssl: span(timing.ssl_start, timing.ssl_end),
    }
}

/// A response that Chromium kept from the page (blocked, or cut off) may still have been seen by the network.
fn no_response(extra: Option<&ResponseReceivedExtraInfo>, error: Option<String>, secrets_kept: bool) -> Response {
    let mut headers = extra.map(|extra| header_pairs(&extra.headers)).unwrap_or_default();
    let mut cookies = text::cookies_set(&headers);
    if !secrets_kept {
        text::redact_headers(&mut headers);
        text::redact_cookies(&mut cookies);
    }
    Response {
        status: extra.map_or(0, |extra| extra.status_code),
        status_text: String::new(),
        http_version: String::new(),
        cookies,
        headers,
        content: Content { mime_type: "x-unknown".into(), ..Content::default() },
        redirect_url: String::new(),
        headers_size: -1,
        body_size: -1,
        transfer_size: 0,
        error,
    }
}

fn post_data(request: &network::Request, mime_type: Option<&str>) -> Option<(PostData, i64)> {
    if request.has_post_data != Some(true) {
        return None;
    }
    let mime_type = mime_type.unwrap_or_default().to_owned();
    let parts = request.post_data_entries.iter().flatten();
    let parts: Option<Vec<_>> = parts.map(|part| BASE64_STANDARD.decode(part.bytes.as_deref()?).ok()).collect();
    let Some(bytes) = parts.map(|parts| parts.concat()).filter(|bytes| !bytes.is_empty()) else {
        let comment = Some("not kept: too long, or a file");
        return Some((PostData { mime_type, text: String::new(), params: Vec::new(), encoding: None, comment }, -1));
    };
    let length = signed(bytes.len());
    let (text, encoding) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (BASE64_STANDARD.encode(error.as_bytes()), Some("base64")),
    };
    let is_form = mime_type.starts_with("application/x-www-form-urlencoded");
    let params: Vec<Pair> = if is_form { text::form(&text) } else { Vec::new() };
    Some((PostData { mime_type, text, params, encoding, comment: None }, length))
}

/// Addresses that egress made up for names are nobody's; the real one is not known to the browser.
fn address(text: &str) -> Option<String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let made_up = bare.starts_with("198.18.") || bare.starts_with("198.19.");
    (!bare.is_empty() && !made_up).then(|| bare.to_owned())
}

/// What an HTTP/1 request line asks for.
fn target(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("/", |at| &after_scheme[at..]);
    path.split('#').next().unwrap_or(path)
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
