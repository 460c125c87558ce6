//! The page for a person whose link leads to no session: it says why in a sentence, and tells the page around it.

use super::framing::{ANYBODY, framed};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use vitrine_model::{EndReason, Error};

const SCRIPT: &str = include_str!("trouble.js");
const STYLE: &str = include_str!("trouble.css");
/// Its own script and style, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'";

/// Why a link leads to no session.
#[derive(Debug)]
pub struct Trouble {
    why: Why,
    /// Who may frame the page, where a session says it.
    ancestors: Option<String>,
}

/// What is wrong.
#[derive(Debug)]
pub enum Why {
    /// There is no token.
    Missing,
    /// It is not one of ours.
    Invalid,
    /// The link is of another machine.
    WrongMachine,
    /// There is no such session.
    Unknown,
    /// It is over.
    Ended(Option<EndReason>),
    /// It is not running yet.
    NotReady,
    /// Something else, as an API answers it.
    Failed(Error),
}

impl Why {
    /// Under these `frame-ancestors`.
    pub fn framed_by(self, ancestors: String) -> Trouble {
        Trouble { why: self, ancestors: Some(ancestors) }
    }

    fn status(&self) -> StatusCode {
        match self {
            Why::Missing | Why::Invalid => StatusCode::UNAUTHORIZED,
            Why::WrongMachine | Why::Unknown => StatusCode::NOT_FOUND,
            Why::Ended(_) => StatusCode::GONE,
            Why::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            Why::Failed(error) => crate::answer::dialect(error.code).0,
        }
    }

    /// The `reasonCode` of the message.
    fn word(&self) -> &'static str {
        match self {
            Why::Missing => "login_missing",
            Why::Invalid => "login_invalid",
            Why::WrongMachine => "wrong_machine",
            Why::Unknown => "session_unknown",
            Why::Ended(Some(EndReason::MaxDuration)) => "session_expired",
            Why::Ended(_) => "session_ended",
            Why::NotReady => "not_ready",
            Why::Failed(_) => "failed",
        }
    }

    /// A title and a sentence. Neither holds a character that HTML gives a meaning.
    fn text(&self) -> (&'static str, &'static str) {
        match self {
            Why::Missing => {
                ("This link is not complete", "It has no token. Open the session from where you got the link.")
            }
            Why::Invalid => ("This link does not work", "Its token is not valid here. Ask for a new one."),
            Why::WrongMachine => ("This link does not work", "It names another machine than its session runs on."),
            Why::Unknown => ("There is no such session", "It may have ended some time ago. Start a new one."),
            Why::Ended(Some(EndReason::MaxDuration)) => ("This session is over", "Its time is up. Start a new one."),
            Why::Ended(Some(EndReason::Deleted | EndReason::ClosedByClient)) => {
                ("This session is over", "It was ended. Start a new one.")
            }
            Why::Ended(_) => ("This session is over", "It ended before its time. Start a new one."),
            Why::NotReady => ("This session is not ready", "Try again in a moment."),
            Why::Failed(_) => ("Something went wrong", "Try again in a moment."),
        }
    }
}

impl From<Why> for Trouble {
    fn from(why: Why) -> Self {
        Self { why, ancestors: None }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Why::Failed(error).into()
    }
}

impl Trouble {
    /// The page; `root` leads from its address to ours.
    pub fn page(self, root: &str) -> Response {
        let Self { why, ancestors } = self;
        let ((title, sentence), word, status) = (why.text(), why.word(), why.status());
        let html = format!(
            "<!doctype html>\n<html lang=\"en\" data-reason=\"{word}\" data-message=\"{title}: {sentence}\">\n<head>\n\
             <meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<link rel=\"stylesheet\" href=\"{root}s/trouble.css\">\n\
             <script src=\"{root}s/trouble.js\"></script>\n</head>\n\
             <body>\n<main><h1>{title}</h1><p>{sentence}</p></main>\n</body>\n</html>\n"
        );
        let mut response = (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
        if let Why::Failed(error) = why {
            response.extensions_mut().insert(error);
        }
        framed(response, POLICY, ancestors.as_deref().unwrap_or(ANYBODY))
    }
}

/// `GET /s/trouble.js`.
pub async fn script() -> Response {
    part("text/javascript; charset=utf-8", SCRIPT)
}

/// `GET /s/trouble.css`.
pub async fn style() -> Response {
    part("text/css; charset=utf-8", STYLE)
}

fn part(content_type: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], text).into_response()
}
