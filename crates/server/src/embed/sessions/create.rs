//! `POST /api/v1/sessions`: claim a session, and answer when it is ready.

use super::once::Which;
use super::wish::{Wish, WishBody};
use super::{SessionView, embed, view, workload};
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::queue::Order;
use crate::cloud::{ErrorBody, has_arrived, settled};
use crate::gate::Caller;
use crate::request::body;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use std::time::Duration;
use vitrine_model::{Code, Error, Kind, SchedulingReason, SessionId, Weight, browser};

/// How long a client waits for its browser: a warm one is there in milliseconds, a cold one in seconds.
pub const READY_TIME_MAX: Duration = Duration::from_secs(15);

/// Create a paid browser session.
///
/// Its minutes are deducted when it is claimed; the answer comes when it is ready. When no browser is ready in 15 seconds, they
/// are returned and the answer is 503 `pool_empty`.
#[utoipa::path(
    post, path = "/api/v1/sessions", operation_id = "createEmbedSession", tag = "Embed sessions",
    request_body = WishBody,
    params(
        ("Idempotency-Key" = Option<String>, Header, max_length = 255,
            description = "The same key with the same request gets the same session for a day"),
    ),
    responses(
        (status = 201, description = "Ready", body = SessionView),
        (status = 200, description = "The session that an earlier request with the `Idempotency-Key` made", body = SessionView),
        (status = 402, description = "`insufficient_minutes`", body = ErrorBody),
        (status = 409, description = "`idempotency_conflict`: the key was used with another request", body = ErrorBody),
        (status = 503, description = "`pool_empty`: no capacity now; `retry_after` says when to come back", body = ErrorBody),
    )
)]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<SessionView>)> {
    let wish = Wish::read(&body::object(body, app.body_limits()).await?)?;
    let which = Which::begin(&app, &caller, &headers, &wish).await?;
    let is_new = match claim(&app, &caller, &which, &wish).await {
        Ok(is_new) => is_new,
        Err(error) => {
            which.forget(&app, &caller).await?;
            return Err(error.into());
        }
    };
    let session = settled(&app, &caller, (Kind::Browser, &which.session), READY_TIME_MAX, has_arrived).await?;
    if session.started_at.is_none() {
        app.end_embed(caller.organization_id(), &which.session).await?;
        which.forget(&app, &caller).await?;
        let text = "no browser is free right now; the minutes were returned";
        return Err(Error::scheduling(SchedulingReason::NoCapacity, text).into());
    }
    let embed = embed(&session).ok_or_else(|| Error::not_found("session"))?;
    let mut view = view(&app, &caller, &session, embed, &headers).await?;
    view.region_source = app.region_source(&wish.hint);
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(view)))
}

/// Records the session, unless it is recorded; answers whether this request did.
async fn claim(app: &App, caller: &Caller, which: &Which, wish: &Wish) -> Result<bool, Error> {
    if which.is_known && is_recorded(app, caller, &which.session).await? {
        return Ok(false);
    }
    let route = app.route(&wish.hint).await?;
    let order = Order {
        reserve_mb: app.config.reserve_mb.of(Weight::Light),
        limit_mb: browser::limit_mb(app.config.browser_base_mb, Weight::Light),
        profile_key: None,
        workload: workload(wish.spec(app.clock.now()), route.region),
    };
    let wait_ms = u64::try_from(READY_TIME_MAX.as_millis()).unwrap_or(u64::MAX);
    match app.queue_as(caller, which.session.clone(), order, wait_ms).await {
        Ok(_) => Ok(true),
        // The id is taken: another request with the key was faster.
        Err(_) if is_recorded(app, caller, &which.session).await? => Ok(false),
        Err(error) if error.code == Code::InsufficientMinutes => Err(error.with("required_minutes", wish.minutes)),
        Err(error) => Err(error),
    }
}

async fn is_recorded(app: &App, caller: &Caller, id: &SessionId) -> Result<bool, Error> {
    let session = app.store.session_of(caller.organization_id(), id).await.map_err(Error::internal)?;
    Ok(session.is_some())
}
