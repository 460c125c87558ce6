//! Another way out for a session that runs.
//!
//! Connections of the old upstream are reset, so that nothing leaves by it any more once the answer is there; the browser's next
//! request opens a new one.

use super::{Interface, Unfulfilled};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use vitrine_model::wire::Upstream;

pub(super) async fn change(
    State(interface): State<Interface>,
    Json(upstream): Json<Upstream>,
) -> Result<StatusCode, Unfulfilled> {
    let upstream = crate::upstream::of(&upstream);
    crate::upstream::check(&interface.shared.outside, &upstream)
        .await
        .map_err(|error| Unfulfilled::new(StatusCode::BAD_GATEWAY, error.message))?;
    interface.browser.set_upstream(upstream);
    Ok(StatusCode::NO_CONTENT)
}
