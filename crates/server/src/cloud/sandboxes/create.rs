//! `POST /v1/sandboxes`: queue a sandbox.

use super::wish::Wish;
use super::{Capabilities, Network};
use crate::answer::Answer;
use crate::app::App;
use crate::cloud::queue::Order;
use crate::cloud::{ErrorBody, statuses};
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
use vitrine_model::{Code, Error, Runtime, Size, Status};
use vitrine_store::Session;

/// A sandbox that was just queued.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedSandbox {
    #[schema(example = "mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a")]
    pub id: String,
    #[schema(schema_with = statuses, example = "queued")]
    pub status: Status,
    #[schema(schema_with = super::runtimes)]
    pub runtime: Runtime,
    #[schema(schema_with = super::sizes)]
    pub size: Size,
    /// Null when none was asked for.
    pub capabilities: Option<Capabilities>,
    pub ephemeral: bool,
    pub network: Network,
    pub from: Option<String>,
    pub created_at: i64,
    pub max_duration_ms: u64,
    pub region: Option<String>,
}

/// Create a new sandbox session.
///
/// It answers at once with `queued`; `GET /v1/sandboxes?id=…&waitMs=30000` answers once it is `ready`. With `from` its
/// `/workspace` begins as that checkpoint: several at once may begin as one.
#[utoipa::path(
    post, path = "/v1/sandboxes", operation_id = "createSandbox", tag = "Sandboxes", request_body = Wish,
    params(
        ("Idempotency-Key" = Option<String>, Header, max_length = 255,
            description = "The same key with the same body gets the same answer for a day, and makes one sandbox"),
    ),
    responses(
        (status = 201, description = "Queued", body = CreatedSandbox),
        (status = 404, description = "`from`: no such checkpoint", body = ErrorBody),
        (status = 501, description = "`NOT_IMPLEMENTED`: a capability or an isolation driver that is not there", body = ErrorBody),
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
    let wish = Wish::read(&fields)?;
    let once = Once::begin(&app, &caller, &headers, &fields).await?;
    if let Once::Answered(answer) = once {
        return Ok((StatusCode::CREATED, Json(answer)));
    }
    let made = make(&app, &caller, wish).await;
    once.end(&app, &made).await?;
    Ok((StatusCode::CREATED, Json(serde_json::to_value(made?).map_err(Error::internal)?)))
}

async fn make(app: &App, caller: &Caller, wish: Wish) -> Result<CreatedSandbox, Error> {
    if let Some(from) = &wish.from {
        let checkpoint = app.store.checkpoint(caller.organization_id(), from).await.map_err(Error::internal)?;
        checkpoint.ok_or_else(|| Error::not_found("checkpoint"))?;
    }
    let plan = caller.organization.plan;
    wish.check_plan(app, plan)?;
    wish.check_built()?;
    check_driver(app, wish.isolation_driver.as_deref())?;
    let spec = wish.spec(&app.config, plan);
    let order = Order {
        reserve_mb: app.config.sandbox_reserve_mb,
        limit_mb: spec.size.memory_mb(),
        profile_key: None,
        workload: Workload::Sandbox(spec),
    };
    created(&app.queue(caller, order).await?)
}

/// A driver that no machine has is refused, never replaced.
fn check_driver(app: &App, wished: Option<&str>) -> Result<(), Error> {
    let Some(wished) = wished else { return Ok(()) };
    let known = app.drivers();
    match known.iter().any(|driver| driver == wished) {
        true => Ok(()),
        false => {
            let message = format!("isolationDriver: {wished} is on no machine; there are: {}", known.join(", "));
            Err(Error::new(Code::NotImplemented, message).with("field", "isolationDriver").with("drivers", known))
        }
    }
}

fn created(session: &Session) -> Result<CreatedSandbox, Error> {
    let spec = super::spec_of(session)?;
    Ok(CreatedSandbox {
        id: session.id.to_string(),
        status: session.status,
        runtime: spec.runtime,
        size: spec.size,
        capabilities: super::capabilities(spec),
        ephemeral: spec.ephemeral,
        network: spec.network.clone().into(),
        from: spec.from.as_ref().map(ToString::to_string),
        created_at: session.created_at,
        max_duration_ms: spec.max_duration_ms,
        region: spec.region.clone(),
    })
}
