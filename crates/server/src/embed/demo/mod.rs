//! Demo sessions: a browser for a quarter of an hour for whoever visits, known by a cookie and bounded by address.
//!
//! They are embed sessions that nobody pays for, of an organization of their own. A visitor has one at a time. A page says
//! goodbye when it is left; unless its visitor comes back in time, a reconciler ends the session.

pub mod config;
mod cors;
mod create;
mod disconnect;
mod status;
mod visitor;

use crate::app::App;
use crate::config::Class;
use crate::embed::sender::Sender;
use crate::embed::sessions::SessionView;
use crate::gate::{Gate, admit};
use crate::observe::no_method;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use http::HeaderMap;
use std::time::Duration;
use vitrine_model::{Code, EmbedSpec, EndReason, Error, Status};
use vitrine_store::{Session, StoreError};

/// How long a visitor who said goodbye may take to come back.
const GRACE: Duration = Duration::from_secs(60);
/// Sessions that one look of the reconciler ends.
const BATCH: u32 = 100;

/// The routes.
pub fn router(app: &App) -> Router<App> {
    let gate = Gate::Open { class: Class::EmbedPublic };
    // Browsers ask first whether a page may ask; `cors` answers that for the pages that may.
    Router::new()
        .route("/api/session", post(create::create).options(no_method))
        .route("/api/session/status", get(status::read).options(no_method))
        .route("/api/session/disconnect", post(disconnect::disconnect).options(no_method))
        .route_layer(from_fn_with_state((app.clone(), gate), admit))
        .layer(from_fn_with_state(app.clone(), cors::open_to_trusted))
}

/// Whether a path has rules of its own for pages of other origins.
pub fn rules_origins_of(path: &str) -> bool {
    path == "/api/session" || path.starts_with("/api/session/")
}

impl App {
    /// Fails for pages of origins that nobody trusts, whose visitors' cookies came along unasked.
    fn check_sender(&self, headers: &HeaderMap) -> Result<(), Error> {
        match self.sender(headers) {
            Sender::Stranger => {
                Err(Error::new(Code::PermissionDenied, "pages of this origin may not ask for sessions"))
            }
            Sender::Ours | Sender::Trusted(_) | Sender::Program => Ok(()),
        }
    }

    /// A visitor's session as the visitor sees it.
    async fn demo_view(&self, session: &Session, headers: &HeaderMap) -> Result<SessionView, Error> {
        let embed =
            of_visitor(session).ok_or_else(|| Error::internal("a visit names a session that is no visitor's"))?;
        let mut view = self.session_view(session, embed, headers).await?;
        if let Some(machine) = &session.machine
            && let Some(code) = self.region_of(machine).await?
        {
            view.region = code;
        }
        Ok(view)
    }
}

fn of_visitor(session: &Session) -> Option<&EmbedSpec> {
    super::page::of_embed(session).filter(|embed| embed.demo)
}

/// Ends the sessions whose visitors left and did not come back. Whoever is still connected, in another tab, is back.
pub async fn end_abandoned(app: App) -> Result<Option<Duration>, StoreError> {
    let grace_ms = i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX);
    let overdue = app.store.overdue_demos(app.clock.now() - grace_ms, BATCH).await?;
    for id in &overdue {
        let session = app.store.session(id).await?;
        match session.is_some_and(|session| session.status == Status::Active) {
            true => app.store.demo_session_returned(id).await?,
            false => drop(app.end(id, None, EndReason::Idle).await?),
        }
    }
    Ok(None)
}
