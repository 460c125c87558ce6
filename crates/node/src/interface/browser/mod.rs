//! What the interface of a browser's run answers: files, screenshots, another way out, another policy.

mod files;
mod picture;

use super::{Request, Unfulfilled};
use crate::browser::BrowserRun;
use crate::node::Shared;
use axum::extract::State;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::StatusCode;
use std::sync::Arc;
use vitrine_model::embed::Policy;
use vitrine_model::wire::Upstream;

/// What the handlers work on.
#[derive(Clone)]
struct Interface {
    shared: Arc<Shared>,
    run: Arc<BrowserRun>,
}

/// The routes of one run.
pub(crate) fn router(shared: Arc<Shared>, run: Arc<BrowserRun>) -> Router {
    Router::new()
        .route("/files", get(files::list))
        .route("/files/raw", get(files::read).put(files::write))
        .route("/screenshot", post(picture::take))
        .route("/upstream", put(change_upstream))
        .route("/policy", put(change_policy))
        // What is put is bounded while it is written.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(Interface { shared, run })
}

/// Another way out for a session that runs. Connections of the old one are reset, so that nothing leaves by it any more once the
/// answer is there; the browser's next request opens a new one.
async fn change_upstream(
    State(interface): State<Interface>,
    Json(upstream): Json<Upstream>,
) -> Result<StatusCode, Unfulfilled> {
    let upstream = crate::upstream::of(&upstream);
    crate::upstream::check(&interface.shared.outside, &upstream)
        .await
        .map_err(|error| Unfulfilled::new(StatusCode::BAD_GATEWAY, error.message))?;
    interface.run.browser.set_upstream(upstream);
    Ok(StatusCode::NO_CONTENT)
}

/// Another policy for a session that runs: enforced, and told to whoever watches, once the answer is there.
async fn change_policy(
    State(interface): State<Interface>,
    Request(policy): Request<Policy>,
) -> Result<StatusCode, Unfulfilled> {
    let run = &interface.run;
    let changed = run.carried.set_policy(&run.browser, policy).await;
    changed.map_err(|error| Unfulfilled::new(StatusCode::BAD_GATEWAY, error.message))?;
    Ok(StatusCode::NO_CONTENT)
}
