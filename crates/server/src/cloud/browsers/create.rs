//! `POST /v1/browsers`: queue a session.

use super::wish::Wish;
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::ErrorBody;
use crate::cloud::queue::Order;
use crate::gate::Caller;
use crate::once::Once;
use crate::request::body;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vitrine_model::wire::Workload;
use vitrine_model::{EgressProfile, Error, Isolation, Status, Weight, browser};
use vitrine_store::Session;

/// A session that was just queued.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedBrowser {
    #[schema(example = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub id: String,
    #[schema(schema_with = crate::cloud::statuses, example = "queued")]
    pub status: Status,
    /// Null: it is not ready yet.
    pub cdp_url: Option<String>,
    #[schema(schema_with = super::weights)]
    pub weight: Weight,
    #[schema(schema_with = super::isolations)]
    pub isolation: Isolation,
    #[schema(schema_with = super::egress_profiles)]
    pub egress_profile: EgressProfile,
    pub created_at: i64,
    pub max_duration_ms: u64,
    pub idle_timeout_ms: u64,
    pub region: Option<String>,
}

/// Create a new browser session.
///
/// It answers at once with `queued`; poll `GET /v1/browsers?id=…&waitMs=30000` until it is `ready`.
#[utoipa::path(
    post, path = "/v1/browsers", operation_id = "createBrowser", tag = "Browser sessions", request_body = Wish,
    params(
        ("Idempotency-Key" = Option<String>, Header, max_length = 255, 
            description = "The same key with the same body gets the same answer for a day, and makes one session"),
    ),
    responses(
        (status = 201, description = "Queued", body = CreatedBrowser),
        (status = 409, description = "`PROFILE_IN_USE`: another session that is not over has the `profileKey`", body = ErrorBody),
        (status = 503, description = "`SCHEDULING_FAILED` with `reason`", body = ErrorBody),
    )
)]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<Value>)> {
    let fields = body::object(body, app.body_limits()).await?;
    let wish = Wish::read(&fields, &app.config)?;
    let once = Once::begin(&app, &caller, &headers, &fields).await?;
    if let Once::Answered(answer) = once {
        return Ok((StatusCode::CREATED, Json(answer)));
    }
    let made = make(&app, &caller, wish).await;
    once.end(&app, &made).await?;
    Ok((StatusCode::CREATED, Json(serde_json::to_value(made?).map_err(Error::internal)?)))
}

async fn make(app: &App, caller: &Caller, wish: Wish) -> Result<CreatedBrowser, Error> {
    let plan = caller.organization.plan;
    wish.check_plan(app, plan)?;
    let spec = wish.spec(&app.config, plan);
    app.check_open()?;
    app.upstream(spec.egress_profile, caller.organization_id(), spec.profile_key.as_deref(), spec.proxy.as_ref())?;
    let order = Order {
        reserve_mb: app.config.reserve_mb.of(spec.weight),
        limit_mb: browser::limit_mb(app.config.browser_base_mb, spec.weight),
        profile_key: spec.profile_key.clone(),
        workload: Workload::Browser(spec),
    };
    created(&app.queue(caller, order).await?)
}

fn created(session: &Session) -> Result<CreatedBrowser, Error> {
    let spec = super::spec_of(session)?;
    Ok(CreatedBrowser {
        id: session.id.to_string(),
        status: session.status,
        cdp_url: None,
        weight: spec.weight,
        isolation: spec.isolation,
        egress_profile: spec.egress_profile,
        created_at: session.created_at,
        max_duration_ms: spec.max_duration_ms,
        idle_timeout_ms: spec.idle_timeout_ms,
        region: spec.region.clone(),
    })
}
