//! The own HTTP interface of a run: files, screenshots, its way out. Spoken over a stream that its machine hands out.
//!
//! Promises: nothing is spawned, because whoever reads an answer drives its connection, and dropping the answer leaves the
//! machine; an answer's head comes in time or not at all; bodies are streamed both ways.

use crate::app::App;
use crate::deliver::bytes_of;
use crate::gateway::{ByteStream, Connected};
use crate::request::body;
use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select};
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use vitrine_model::wire::{Dial, DialError, Purpose};
use vitrine_model::{Code, Error};
use vitrine_store::Session;

/// A machine answers a question within this time.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Largest answer that is read whole: the list of a session's files.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The content type of server-sent events.
pub const EVENTS: &str = "text/event-stream";
/// A run comments its events every 15 s.
const EVENTS_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Longest refusal of a machine that is passed on, in characters.
const REFUSAL_CHARS_MAX: usize = 300;

/// Why an exchange came to nothing.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A request to a run.
pub fn request(method: Method, path_and_query: &str, body: Body) -> Result<Request<Body>, Error> {
    let request = Request::builder().method(method).uri(path_and_query);
    request.header(HOST, HeaderValue::from_static("localhost")).body(body).map_err(Error::internal)
}

/// A request to a run whose body is JSON.
pub fn json_request(method: Method, path: &str, body: &impl Serialize) -> Result<Request<Body>, Error> {
    let mut request = request(method, path, Body::from(serde_json::to_vec(body).map_err(Error::internal)?))?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(request)
}

/// Asks a run; what it refuses is an error.
pub async fn ask(connected: Connected, request: Request<Body>, limit: Duration) -> Result<Response<Body>, Error> {
    let response = answered(connected, request, limit).await?;
    match response.status().is_success() {
        true => Ok(response),
        false => Err(refusal(response).await),
    }
}

/// Asks a run for a part of something: that there is no such part is an answer.
pub async fn ask_for_part(
    connected: Connected,
    request: Request<Body>,
    limit: Duration,
) -> Result<Response<Body>, Error> {
    let response = answered(connected, request, limit).await?;
    match response.status().is_success() || response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        true => Ok(response),
        false => Err(refusal(response).await),
    }
}

async fn answered(connected: Connected, request: Request<Body>, limit: Duration) -> Result<Response<Body>, Error> {
    let unanswered = |cause: &dyn std::fmt::Display| {
        Error::new(Code::Unavailable, "the machine that runs the session did not answer").because(cause)
    };
    match timeout(limit, exchange(connected.stream, request)).await {
        Ok(answered) => answered.map_err(|cause| unanswered(&cause)),
        Err(late) => Err(unanswered(&late)),
    }
}

/// The whole answer as JSON.
pub async fn json<T: DeserializeOwned>(response: Response<Body>) -> Result<T, Error> {
    let limits = body::Limits { bytes_max: ANSWER_BYTES_MAX, time_max: ANSWER_TIME_MAX };
    let bytes =
        body::bytes(response.into_body(), limits).await.map_err(|error| Error::internal(format!("{error:?}")))?;
    serde_json::from_slice(&bytes).map_err(Error::internal)
}

/// What a run refused, in the API's words. Its status says what went wrong, its text what exactly.
async fn refusal(response: Response<Body>) -> Error {
    let code = match response.status() {
        StatusCode::BAD_REQUEST => Code::InvalidRequest,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::CONFLICT => Code::InvalidState,
        StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
        StatusCode::INSUFFICIENT_STORAGE => Code::DiskFull,
        StatusCode::NOT_IMPLEMENTED => Code::NotImplemented,
        _ => Code::Unavailable,
    };
    let limits = body::Limits { bytes_max: ANSWER_BYTES_MAX, time_max: ANSWER_TIME_MAX };
    let body = body::object(response.into_body(), limits).await.unwrap_or_default();
    let text = body.get("error").and_then(Value::as_str).unwrap_or("the machine refused");
    let error = Error::new(code, text.chars().take(REFUSAL_CHARS_MAX).collect::<String>());
    match text.split_once(": ").filter(|(field, _)| code == Code::InvalidRequest && is_field(field)) {
        Some((field, _)) => error.with("field", field),
        None => error,
    }
}

fn is_field(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
}

/// A run's JSON, passed on as it came: what it answers is the API's own.
pub fn pass(response: Response<Body>) -> Response<Body> {
    let mut passed = Response::new(response.into_body());
    passed.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    passed
}

/// A run's events, passed on as they come.
pub fn pass_events(response: Response<Body>) -> Response<Body> {
    // Its comments come often enough that a run which says nothing for so long is gone.
    let mut passed = Response::new(Body::from_stream(bytes_of(response.into_body(), EVENTS_PAUSE_MAX)));
    let headers = passed.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    // Proxies of one kind keep events back until there is a page of them, unless told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    passed
}

/// Whether a client asks for events rather than one answer.
pub fn wants_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == EVENTS))
}

/// One question and its answer, whose body drives the connection.
pub async fn exchange(stream: Box<dyn ByteStream>, request: Request<Body>) -> Result<Response<Body>, Cause> {
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
    let connection = connection.boxed();
    let (response, connection) = match select(pin!(sender.send_request(request)), connection).await {
        Either::Left((response, connection)) => (response?, Some(connection)),
        // The connection is over, and the answer with it: all of it is here.
        Either::Right((_, response)) => (response.await?, None),
    };
    Ok(response.map(|body| Body::new(Driven { body, connection, _sender: sender })))
}

/// An answer's body, which drives its connection.
struct Driven {
    body: Incoming,
    connection: Option<BoxFuture<'static, hyper::Result<()>>>,
    /// Without it the connection would take itself for idle.
    _sender: SendRequest<Body>,
}

impl HttpBody for Driven {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        if self.connection.as_mut().is_some_and(|connection| connection.as_mut().poll(context).is_ready()) {
            self.connection = None;
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl App {
    /// Asks a session's own interface. `what` says what is not possible while it does not run.
    pub async fn ask_run(
        &self,
        session: &Session,
        what: &str,
        request: Request<Body>,
        limit: Duration,
    ) -> Result<Response<Body>, Error> {
        ask(self.dial_run(session, what).await?, request, limit).await
    }

    /// A stream to a session's own interface. Fails while it does not run.
    pub async fn dial_run(&self, session: &Session, what: &str) -> Result<Connected, Error> {
        match session.status.is_running() {
            true => self.dial_frozen(session, what).await,
            false => Err(Error::state(session.status, what)),
        }
    }

    /// As [`Self::dial_run`], also while it is paused: what needs no program of it is answered then.
    pub async fn dial_frozen(&self, session: &Session, what: &str) -> Result<Connected, Error> {
        let (Some(run), Some(machine)) = (&session.run, &session.machine) else {
            return Err(Error::state(session.status, what));
        };
        let dial = Dial { session: session.id.clone(), run: run.clone(), purpose: Purpose::Run };
        let limit = Duration::from_millis(self.config.gateway.dial_ms_max);
        let unreachable = |cause: &dyn std::fmt::Display| {
            Error::new(Code::Unavailable, "the machine that runs the session did not answer").because(cause)
        };
        match timeout(limit, self.nodes.dial(machine, dial)).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(DialError::Gone)) => {
                Err(Error::new(Code::Unavailable, "the session is not on its machine (any more); it may be ending"))
            }
            Ok(Err(error)) => Err(unreachable(&error)),
            Err(late) => Err(unreachable(&late)),
        }
    }
}
