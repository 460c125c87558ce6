//! Chrome's discovery under our address: the questions are passed on, and every URL in the answers is made to lead back to us.

use super::access::Access;
use super::address::Address;
use super::refusal::Refusal;
use super::{Base, Gateway, browser};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, REFERRER_POLICY};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use vitrine_model::wire::Purpose;
use vitrine_model::{Code, Error, SessionId};

/// How Chromium names itself in answers to requests for `Host: localhost`.
const BROWSER_ORIGIN: &str = "ws://localhost";
const BROWSER_QUERY: &str = "ws=localhost";

/// Where an answer's URLs lead.
struct Way<'a> {
    base: Base,
    session: &'a SessionId,
    token: String,
}

impl Gateway {
    /// Answers one of Chrome's questions.
    pub(super) async fn answer(
        &self,
        address: &Address,
        path: &str,
        method: Method,
        headers: &HeaderMap,
        mut access: Access,
    ) -> Result<Response, Refusal> {
        if method != Method::GET && method != Method::PUT {
            return Ok(not_allowed());
        }
        let base = self.public.base(headers).map_err(|cause| Error::invalid(HOST.as_str(), cause))?;
        let connected = self.reach(&mut access, Purpose::Discovery).await?;
        let question = if address.query.is_empty() { path.to_owned() } else { format!("{path}?{}", address.query) };
        let answer = browser::ask(connected, method, &question).await?;
        let way = Way { base, session: &address.session, token: self.token_for(&access) };
        let (parts, body) = answer.into_parts();
        // The protocol's description is large and names no address.
        let rewritten = match serde_json::from_slice::<Value>(&body) {
            Ok(mut json) if parts.status == StatusCode::OK && path != "/json/protocol" => {
                way.rewrite(&mut json);
                Body::from(json.to_string())
            }
            _ => Body::from(body),
        };
        let mut response = (parts.status, rewritten).into_response();
        let answer_headers = response.headers_mut();
        let kind = parts.headers.get(CONTENT_TYPE).cloned();
        answer_headers
            .insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/json; charset=UTF-8")));
        answer_headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer_headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        Ok(response)
    }
}

impl Way<'_> {
    /// Rewrites the URLs of one target, of the browser, or of a list of targets. Titles and addresses of pages are theirs.
    fn rewrite(&self, json: &mut Value) {
        match json {
            Value::Array(targets) => targets.iter_mut().for_each(|target| self.rewrite(target)),
            Value::Object(fields) => {
                if let Some(Value::String(url)) = fields.get_mut("webSocketDebuggerUrl")
                    && let Some(path) = url.strip_prefix(BROWSER_ORIGIN)
                {
                    *url = self.base.ws(&format!("/cdp/{}{path}?token={}", self.session, self.token));
                }
                if let Some(Value::String(url)) = fields.get_mut("devtoolsFrontendUrl") {
                    // Without the token: this page lies on somebody else's server, which would read it.
                    let scheme = if self.base.is_secure() { "wss" } else { "ws" };
                    *url =
                        url.replace(BROWSER_QUERY, &format!("{scheme}={}/cdp/{}", self.base.address(), self.session));
                }
            }
            _ => {}
        }
    }
}

fn not_allowed() -> Response {
    let mut response =
        Refusal::from(Error::new(Code::MethodNotAllowed, "Chrome's questions are asked by GET or PUT")).into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, PUT"));
    response
}
