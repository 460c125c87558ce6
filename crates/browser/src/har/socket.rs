//! A WebSocket of a page: its handshake, and the first of its messages.

use super::archive::{Cache, Content, Entry, Request, Response, Timings, WebSocketMessage, header_pairs};
use super::text;
use vitrine_cdp::protocol::network::{WebSocketFrame, WebSocketRequest, WebSocketResponse};

/// Messages of one socket that are kept.
const MESSAGES_MAX: usize = 1000;
/// Bytes of them.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

pub struct Socket {
    url: String,
    page: Option<String>,
    /// The handshake: seconds since 1970, and on Chromium's own clock.
    started: Option<(f64, f64)>,
    request: Option<WebSocketRequest>,
    response: Option<WebSocketResponse>,
    responded: Option<f64>,
    messages: Vec<WebSocketMessage>,
    message_bytes: usize,
    left_out: u64,
    closed: Option<f64>,
}

impl Socket {
    pub fn new(url: String, page: Option<String>) -> Socket {
        Socket {
            url,
            page,
            started: None,
            request: None,
            response: None,
            responded: None,
            messages: Vec::new(),
            message_bytes: 0,
            left_out: 0,
            closed: None,
        }
    }

    pub fn sent(&mut self, request: WebSocketRequest, wall: f64, timestamp: f64) {
        self.request = Some(request);
        self.started = Some((wall, timestamp));
    }

    pub fn responded(&mut self, response: WebSocketResponse, timestamp: f64) {
        self.response = Some(response);
        self.responded = Some(timestamp);
    }

    pub fn message(&mut self, direction: &'static str, frame: WebSocketFrame, timestamp: f64) {
        let bytes = frame.payload_data.len();
        if self.messages.len() >= MESSAGES_MAX || self.message_bytes + bytes > MESSAGE_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        self.message_bytes += bytes;
        let time = self.started.map_or(0.0, |(wall, started)| wall + timestamp - started);
        let opcode = frame.opcode as i64;
        self.messages.push(WebSocketMessage { direction, time, opcode, data: frame.payload_data });
    }

    pub fn closed(&mut self, timestamp: f64) {
        self.closed = Some(timestamp);
    }

    pub fn entry(self, secrets_kept: bool) -> Entry {
        let (wall, started) = self.started.unwrap_or_default();
        let span = |until: Option<f64>| until.map_or(0.0, |until| ((until - started) * 1e6).round() / 1e3);
        let timings = Timings {
            receive: ((span(self.closed) - span(self.responded)).max(0.0) * 1e3).round() / 1e3,
            ..Timings::unknown(span(self.responded))
        };
        let response = self.response.as_ref();
        // The handshake's answer knows what was really sent.
        let sent = response.and_then(|response| response.request_headers.as_ref());
        let sent = sent.or(self.request.as_ref().map(|request| &request.headers));
        let mut sent = sent.map(header_pairs).unwrap_or_default();
        let mut received = response.map(|response| header_pairs(&response.headers)).unwrap_or_default();
        let (mut cookies_sent, mut cookies_set) = (text::cookies_sent(&sent), text::cookies_set(&received));
        if !secrets_kept {
            text::redact_headers(&mut sent);
            text::redact_headers(&mut received);
            text::redact_cookies(&mut cookies_sent);
            text::redact_cookies(&mut cookies_set);
        }
        let size = |text: Option<&String>| text.map_or(-1, |text| i64::try_from(text.len()).unwrap_or(-1));
        let left_out = self.left_out;
        Entry {
            pageref: self.page,
            started_date_time: text::moment(wall),
            time: timings.whole(),
            request: Request {
                method: "GET".into(),
                query_string: text::query(&self.url),
                url: self.url,
                http_version: "HTTP/1.1".into(),
                cookies: cookies_sent,
                headers: sent,
                post_data: None,
                headers_size: size(response.and_then(|response| response.request_headers_text.as_ref())),
                body_size: 0,
            },
            response: Response {
                status: response.map_or(0, |response| response.status),
                status_text: response.map(|response| response.status_text.clone()).unwrap_or_default(),
                http_version: "HTTP/1.1".into(),
                cookies: cookies_set,
                headers: received,
                content: Content { mime_type: "x-unknown".into(), ..Content::default() },
                redirect_url: String::new(),
                headers_size: size(response.and_then(|response| response.headers_text.as_ref())),
                body_size: -1,
                transfer_size: 0,
                error: None,
            },
            cache: Cache {},
            timings,
            server_ip_address: None,
            connection: None,
            comment: (left_out > 0).then(|| format!("{left_out} further messages were left out")),
            resource_type: "websocket".into(),
            from_cache: None,
            web_socket_messages: Some(self.messages),
        }
    }
}
