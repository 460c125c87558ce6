//! `/admin/v1/machines`.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{DONE, Done};
use crate::request::{Fields, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::{Error, MachineId};
use vitrine_store::{Machine, MachineState};

/// A machine.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineView {
    #[schema(example = "68365e2c721798")]
    pub id: String,
    /// `starting`, `ready` or `lost`.
    #[schema(example = "ready")]
    pub state: &'static str,
    /// Nothing new is placed on it.
    pub draining: bool,
    /// Why it takes no sessions.
    pub not_ready: Option<String>,
    #[schema(example = "local")]
    pub provider: String,
    #[schema(example = "iad")]
    pub region: String,
    #[schema(example = "na-east")]
    pub region_global: String,
    pub version: String,
    pub epoch: i64,
    pub reserve_total_mb: u32,
    pub reserve_used_mb: u32,
    pub slots_total: u32,
    pub slots_used: u32,
    /// Whose dedicated sessions it holds.
    pub exclusive_organization: Option<String>,
    pub registered_at: i64,
    pub beat_at: i64,
    pub lease_until: i64,
}

/// All machines, lost ones too.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MachineList {
    pub data: Vec<MachineView>,
}

/// Which machine is to be emptied, or used again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DrainMachine)]
pub struct DrainWish {
    #[schema(example = "68365e2c721798")]
    pub id: String,
    /// True when left out.
    #[schema(required = false, default = true)]
    pub draining: bool,
}

impl From<Machine> for MachineView {
    fn from(machine: Machine) -> Self {
        Self {
            id: machine.id.to_string(),
            state: match machine.state {
                MachineState::Starting => "starting",
                MachineState::Ready => "ready",
                MachineState::Lost => "lost",
            },
            draining: machine.draining,
            not_ready: machine.not_ready.map(|why| why.message),
            provider: machine.provider,
            region: machine.region_code,
            region_global: machine.region_global,
            version: machine.version,
            epoch: machine.epoch,
            reserve_total_mb: machine.reserve_total_mb,
            reserve_used_mb: machine.reserve_used_mb,
            slots_total: machine.slots_total,
            slots_used: machine.slots_used,
            exclusive_organization: machine.exclusive_organization.map(String::from),
            registered_at: machine.registered_at,
            beat_at: machine.beat_at,
            lease_until: machine.lease_until,
        }
    }
}

/// List the machines.
#[utoipa::path(
    get, path = "/admin/v1/machines", operation_id = "listMachines", tag = "Operator",
    responses((status = 200, description = "All of them", body = MachineList))
)]
pub async fn list(State(app): State<App>) -> Answer<Json<MachineList>> {
    let machines = app.store.machines().await?;
    Ok(Json(MachineList { data: machines.into_iter().map(MachineView::from).collect() }))
}

/// Stop or resume placement on a machine; its sessions stay.
#[utoipa::path(
    post, path = "/admin/v1/machines/drain", operation_id = "drainMachine", tag = "Operator", request_body = DrainWish,
    responses((status = 200, description = "It is so", body = Done))
)]
pub async fn drain(State(app): State<App>, body: Body) -> Answer<Json<Done>> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let id = fields.required("id", fields.text("id", 1..=64)?)?;
    let draining = fields.flag("draining")?.unwrap_or(true);
    let id: MachineId = id.parse().map_err(|_| Error::not_found("machine"))?;
    if !app.store.set_draining(&id, draining).await? {
        return Err(Error::not_found("machine").into());
    }
    app.placement.notify_one();
    Ok(Json(DONE))
}
