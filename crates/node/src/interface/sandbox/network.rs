//! What a sandbox uses and where it may connect to.

use super::{Interface, Unfulfilled};
use crate::interface::Request;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use vitrine_model::NetworkPolicy;

/// Ports on which programs in the sandbox listen.
pub(super) async fn ports(State(interface): State<Interface>) -> Result<Json<serde_json::Value>, Unfulfilled> {
    let listening = interface.sandbox.capsule().network().listening();
    let listening =
        listening.await.map_err(|error| Unfulfilled::new(StatusCode::CONFLICT, format!("could not {error}")))?;
    let port = |address: std::net::SocketAddr| serde_json::json!({ "port": address.port(), "address": address.ip().to_string() });
    let ports: Vec<_> = listening.into_iter().map(port).collect();
    Ok(Json(serde_json::json!({ "ports": ports })))
}

pub(super) async fn change(
    State(interface): State<Interface>,
    Request(network): Request<NetworkPolicy>,
) -> Result<StatusCode, Unfulfilled> {
    interface.sandbox.set_network(&network).map_err(|error| Unfulfilled::field("network", error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// What it uses now.
pub(super) async fn runtime(State(interface): State<Interface>) -> Result<Json<serde_json::Value>, Unfulfilled> {
    let capsule = interface.sandbox.capsule();
    let gone = |error| Unfulfilled::new(StatusCode::CONFLICT, format!("could not {error}"));
    let usage = capsule.usage().map_err(gone)?;
    let disk = capsule.disk_usage().map_err(gone)?;
    Ok(Json(serde_json::json!({
        "memoryBytes": usage.memory_bytes,
        "memoryLimitBytes": u64::from(interface.sandbox.spec().size.memory_mb()) * 1024 * 1024,
        "cpuMs": usage.cpu_ns / 1_000_000,
        "pids": usage.pids,
        "diskBytes": disk.as_ref().map(|disk| disk.used_bytes),
        "diskLimitBytes": disk.as_ref().map(|disk| disk.limit_bytes),
        "driver": capsule.record().driver,
    })))
}
