//! What the contract has and this server does not: refused clearly, behind the same gates as everything else.

use crate::answer::{Answer, Failure};
use crate::app::App;
use crate::config::Class;
use crate::gate::{Gate, admit};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use vitrine_model::Permission::{self, SandboxSessionsExec, SandboxSessionsRead};
use vitrine_model::{Code, Error};

/// The routes, and what they demand.
const ROUTES: [(MethodFilter, &str, Class, Permission); 15] = [
    (MethodFilter::GET, "browser-preview", Class::SandboxesRead, SandboxSessionsRead),
    (MethodFilter::POST, "browser-preview/control", Class::SandboxesWrite, SandboxSessionsExec),
    (MethodFilter::POST, "browser-preview/start", Class::SandboxesWrite, SandboxSessionsExec),
    (MethodFilter::POST, "browser-preview/navigate", Class::SandboxesWrite, SandboxSessionsExec),
    (MethodFilter::POST, "browser-preview/resize", Class::SandboxesWrite, SandboxSessionsExec),
    (MethodFilter::GET, "opencode/state", Class::SandboxesRead, SandboxSessionsRead),
    (MethodFilter::GET, "opencode/messages", Class::SandboxesRead, SandboxSessionsRead),
    (MethodFilter::GET, "opencode/events", Class::SandboxesRead, SandboxSessionsRead),
    (MethodFilter::GET, "opencode/tasks", Class::SandboxesRead, SandboxSessionsRead),
    (MethodFilter::POST, "opencode/prompt", Class::SandboxesWrite, SandboxSessionsExec),
    (MethodFilter::POST, "opencode/prompt-async", Class::SandboxesWrite, SandboxSessionsExec),
    (MethodFilter::GET, "handoff", Class::SandboxesRead, SandboxSessionsRead),
    (MethodFilter::POST, "handoff/request", Class::SandboxesWrite, SandboxSessionsExec),
    (MethodFilter::POST, "handoff/accept", Class::SandboxesWrite, SandboxSessionsExec),
    (MethodFilter::POST, "handoff/complete", Class::SandboxesWrite, SandboxSessionsExec),
];

/// Answers 501 to all of them.
pub fn router(app: &App) -> Router<App> {
    ROUTES.into_iter().fold(Router::new(), |router, (method, path, class, needs)| {
        let gate = Gate::Key { class, needs };
        let route = on(method, refuse).route_layer(from_fn_with_state((app.clone(), gate), admit));
        router.route(&format!("/v1/sandboxes/{path}"), route)
    })
}

async fn refuse() -> Answer<()> {
    Err(Failure(Error::new(
        Code::NotImplemented,
        "the coding agent, the paired browser and the handoff are not built yet",
    )))
}
