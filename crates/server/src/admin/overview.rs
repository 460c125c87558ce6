//! `/admin/v1/sessions`, `/admin/v1/upstreams`, `/admin/v1/configuration`, `/admin/v1/invariants`: what an operator looks at.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::words;
use crate::upstream::health::address;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vitrine_model::{EgressProfile, Error, Kind, Proxy, Status};
use vitrine_store::Session;

/// A session of any organization.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorSession {
    pub id: String,
    pub organization: String,
    #[schema(schema_with = kinds)]
    pub kind: Kind,
    #[schema(schema_with = statuses)]
    pub status: Status,
    pub machine_id: Option<String>,
    pub generation: i64,
    pub attempts: i64,
    pub reserve_mb: u32,
    pub limit_mb: u32,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub expires_at: Option<i64>,
}

/// Sessions that are not over, newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperatorSessionList {
    pub data: Vec<OperatorSession>,
}

/// An upstream proxy of an egress profile.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorUpstream {
    pub egress_profile: &'static str,
    /// Without its credentials.
    #[schema(example = "socks5://proxy.example.org:1080")]
    pub address: String,
    /// Null: it was not tried yet. While it does not answer, no session is sent there.
    pub answers: Option<bool>,
    /// Since when, in epoch milliseconds.
    pub since: Option<i64>,
    /// Of the last try that failed.
    pub error: Option<String>,
}

/// Every configured upstream proxy.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OperatorUpstreamList {
    pub data: Vec<OperatorUpstream>,
}

/// What must hold at every moment and does not.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Invariants {
    /// Empty when all is well.
    pub broken: Vec<String>,
}

fn kinds() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("What it is", [Kind::Browser, Kind::Sandbox].map(Kind::as_str))
}

fn statuses() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("Where it is in its life", Status::ALL.map(Status::as_str))
}

impl From<Session> for OperatorSession {
    fn from(session: Session) -> Self {
        Self {
            kind: session.kind(),
            id: session.id.to_string(),
            organization: session.organization.to_string(),
            status: session.status,
            machine_id: session.machine.map(String::from),
            generation: session.generation,
            attempts: session.attempts,
            reserve_mb: session.reserve_mb,
            limit_mb: session.limit_mb,
            created_at: session.created_at,
            started_at: session.started_at,
            expires_at: session.expires_at,
        }
    }
}

/// List every organization's sessions that are not over.
#[utoipa::path(
    get, path = "/admin/v1/sessions", operation_id = "listSessions", tag = "Operator",
    responses((status = 200, description = "Newest first", body = OperatorSessionList))
)]
pub async fn sessions(State(app): State<App>) -> Answer<Json<OperatorSessionList>> {
    let sessions = app.all_sessions().await?;
    Ok(Json(OperatorSessionList { data: sessions.into_iter().map(OperatorSession::from).collect() }))
}

/// List the upstream proxies of the egress profiles, and whether they answer.
#[utoipa::path(
    get, path = "/admin/v1/upstreams", operation_id = "listUpstreams", tag = "Operator",
    responses((status = 200, description = "As they are configured", body = OperatorUpstreamList))
)]
pub async fn upstreams(State(app): State<App>) -> Answer<Json<OperatorUpstreamList>> {
    let upstream = |(profile, proxy): (EgressProfile, &Proxy)| {
        let found = app.upstream_health.of(proxy);
        OperatorUpstream {
            egress_profile: profile.as_str(),
            address: address(proxy),
            answers: found.as_ref().map(|found| found.answers),
            since: found.as_ref().map(|found| found.since),
            error: found.and_then(|found| found.error),
        }
    };
    Ok(Json(OperatorUpstreamList { data: app.config.egress_profiles.all().map(upstream).collect() }))
}

/// The settings in effect, without their secrets.
#[utoipa::path(
    get, path = "/admin/v1/configuration", operation_id = "readConfiguration", tag = "Operator",
    responses((status = 200, description = "As in the configuration file", body = Object))
)]
pub async fn configuration(State(app): State<App>) -> Answer<Json<Value>> {
    Ok(Json(serde_json::to_value(&app.config).map_err(Error::internal)?))
}

/// What must hold at every moment and does not.
#[utoipa::path(
    get, path = "/admin/v1/invariants", operation_id = "readInvariants", tag = "Operator",
    responses((status = 200, description = "A sentence each", body = Invariants))
)]
pub async fn invariants(State(app): State<App>) -> Answer<Json<Invariants>> {
    Ok(Json(Invariants { broken: app.store.invariants().await? }))
}
