//! `PATCH /api/v1/sessions/ID`: another policy for a session that runs.

use super::owned;
use super::policy::{PolicyBody, PolicyWish};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::{Fields, body};
use crate::run::{self, ANSWER_TIME_MAX};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use http::Method;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::embed::{InteractionMode, Policy, PolicySnapshot};
use vitrine_model::{Code, Error};
use vitrine_store::{Session, StoreError};

/// How often a change is tried again that came between another one's reading and writing.
const TRIES_MAX: u32 = 5;

/// What changes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChangeEmbedSession)]
pub struct Change {
    pub policy: PolicyBody,
}

/// A session's policy as its page and its embedder are told it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChangedEmbedSession)]
pub struct ChangedSession {
    pub id: String,
    #[schema(value_type = Object)]
    pub policy: PolicySnapshot,
}

/// Change a session's policy.
///
/// What is named changes, the rest stays. Pages that are open hear of it at once.
#[utoipa::path(
    patch, path = "/api/v1/sessions/{id}", operation_id = "changeEmbedSession", tag = "Embed sessions",
    request_body = Change, params(("id" = String, Path, description = "The session")),
    responses((status = 200, description = "The policy in effect", body = ChangedSession))
)]
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Answer<Json<ChangedSession>> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let wish = fields.required("policy", fields.object("policy")?)?;
    let wish = PolicyWish::read(&wish)?;
    let (session, policy) = store(&app, &caller, &id, &wish).await?;
    tell(&app, &session, &policy).await?;
    Ok(Json(ChangedSession { policy: policy.snapshot(&id, InteractionMode::Full), id }))
}

async fn store(app: &App, caller: &Caller, id: &str, wish: &PolicyWish) -> Result<(Session, Policy), Error> {
    for _ in 0..TRIES_MAX {
        let (session, embed) = owned(app, caller, id).await?;
        let mut policy = embed.policy;
        wish.apply(&mut policy);
        policy.version = policy.version.saturating_add(1);
        policy.updated_at = app.clock.now();
        return match app.store.change_policy(caller.organization_id(), &session.id, &policy).await {
            Ok(true) => Ok((session, policy)),
            Ok(false) => Err(Error::state(session.status, "changing its policy")),
            // Another change was faster: this one is made on top of it.
            Err(StoreError::Conflict) => continue,
            Err(error) => Err(Error::internal(error)),
        };
    }
    Err(Error::new(Code::Unavailable, "the policy is being changed by others; try again in a moment"))
}

/// Tells the machine. What is stored reaches it with its next start at the latest.
async fn tell(app: &App, session: &Session, policy: &Policy) -> Result<(), Error> {
    let request = run::json_request(Method::PUT, "/policy", policy)?;
    let told = app.ask_run(session, "changing its policy", request, ANSWER_TIME_MAX).await;
    told.map(drop).map_err(|error| match error.code {
        Code::InvalidState => error,
        _ => Error::new(Code::Unavailable, "the machine that runs the session did not take the policy; try again")
            .because(error.private.unwrap_or(error.message)),
    })
}
