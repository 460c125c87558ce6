//! `PATCH /v1/sandboxes`: another network policy for a sandbox that runs.

use super::wish::read_network;
use super::{Network, Sandbox, view};
use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::{Fields, body};
use crate::run::{self, ANSWER_TIME_MAX};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, Method};
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::{Error, Status};

/// A sandbox, and where it may connect to from now on.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ChangeSandbox)]
pub struct Change {
    pub id: String,
    pub network: Network,
}

/// Change where a sandbox may connect to.
///
/// It replaces the whole policy. Connections that it forbids are cut; each refusal is an event `sandbox.network.refused`.
#[utoipa::path(
    patch, path = "/v1/sandboxes", operation_id = "changeSandbox", tag = "Sandboxes", request_body = Change,
    responses((status = 200, description = "The sandbox", body = Sandbox))
)]
pub async fn change(State(app): State<App>, caller: Caller, headers: HeaderMap, body: Body) -> Answer<Json<Sandbox>> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let network = fields.required("network", fields.object("network")?)?;
    let network = read_network(&network)?;
    let session = super::named(&app, &caller, &fields).await?;
    let what = "changing its network";
    // The machine first: what it refuses must not stand in the row.
    let request = run::json_request(Method::PUT, "/network", &network)?;
    app.ask_run(&session, what, request, ANSWER_TIME_MAX).await?;
    let run = session.run.as_ref().ok_or_else(|| Error::internal("a session runs without a run"))?;
    let changed = app.store.change_network(&session.id, run, &network, app.clock.now()).await?;
    let changed = changed.ok_or_else(|| Error::state(Status::Ending, what))?;
    Ok(Json(view(&app, &caller, changed, &headers).await?))
}
