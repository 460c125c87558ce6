//! The table of contents: every route, what it demands and who answers it.

use crate::admin::{keys, machines, minutes, organizations, overview};
use crate::app::App;
use crate::cloud::{api_keys, browsers, profiles, sandboxes, usage, webhooks};
use crate::config::Class;
use crate::embed::{self, balance, checkout, pricing, sessions};
use crate::gate::{Gate, admit};
use crate::{artifacts, docs, health, node, observe, openapi};
use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;
use vitrine_model::Permission::{
    ApiKeysManage, BrowserSessionsCreate, BrowserSessionsDelete, BrowserSessionsRead, OrgBilling,
    SandboxSessionsCreate, SandboxSessionsDelete, SandboxSessionsExec, SandboxSessionsRead, WebhooksManage,
};

/// The operations and their document.
fn operations(app: &App) -> (Router<App>, OpenApi) {
    let key = |class, needs, routes| guarded(app, Gate::Key { class, needs }, routes);
    let operator = |routes| guarded(app, Gate::Operator, routes);
    let open = |class, routes| guarded(app, Gate::Open { class }, routes);
    OpenApiRouter::with_openapi(openapi::document())
        .routes(key(Class::BrowsersCreate, BrowserSessionsCreate, routes!(browsers::create::create)))
        .routes(key(Class::BrowsersRead, BrowserSessionsRead, routes!(browsers::read::read)))
        .routes(key(Class::BrowsersDelete, BrowserSessionsDelete, routes!(browsers::end::end)))
        .routes(key(Class::BrowsersWrite, BrowserSessionsCreate, routes!(browsers::change::change)))
        .routes(key(Class::BrowsersWrite, BrowserSessionsRead, routes!(browsers::live_view::create)))
        .routes(key(Class::BrowsersWrite, BrowserSessionsRead, routes!(browsers::live_view::revoke)))
        .routes(key(Class::BrowsersWrite, BrowserSessionsCreate, routes!(browsers::screenshot::create)))
        .routes(key(Class::FilesRead, BrowserSessionsRead, routes!(browsers::files::list)))
        .routes(key(Class::FilesRead, BrowserSessionsRead, routes!(browsers::files::read)))
        .routes(key(Class::FilesWrite, BrowserSessionsCreate, routes!(browsers::files::write)))
        .routes(key(Class::FilesRead, BrowserSessionsRead, routes!(browsers::artifacts::list)))
        .routes(key(Class::FilesRead, BrowserSessionsRead, routes!(browsers::artifacts::download)))
        .routes(key(Class::SandboxesCreate, SandboxSessionsCreate, routes!(sandboxes::create::create)))
        .routes(key(Class::SandboxesRead, SandboxSessionsRead, routes!(sandboxes::read::read)))
        .routes(key(Class::SandboxesDelete, SandboxSessionsDelete, routes!(sandboxes::end::end)))
        .routes(key(Class::SandboxesWrite, SandboxSessionsExec, routes!(sandboxes::change::change)))
        .routes(key(Class::SandboxesWrite, SandboxSessionsDelete, routes!(sandboxes::pause::pause)))
        .routes(key(Class::SandboxesWrite, SandboxSessionsCreate, routes!(sandboxes::pause::resume)))
        .routes(key(Class::SandboxesRead, SandboxSessionsRead, routes!(sandboxes::runtime::read)))
        .routes(key(Class::SandboxesExec, SandboxSessionsExec, routes!(sandboxes::exec::exec)))
        .routes(key(Class::SandboxesCode, SandboxSessionsExec, routes!(sandboxes::code::run)))
        .routes(key(Class::SandboxesTerminal, SandboxSessionsExec, routes!(sandboxes::terminal::open)))
        .routes(key(Class::SandboxesRead, SandboxSessionsExec, routes!(sandboxes::ports::list)))
        .routes(key(Class::SandboxesWrite, SandboxSessionsExec, routes!(sandboxes::ports::create)))
        .routes(key(Class::SandboxFilesRead, SandboxSessionsExec, routes!(sandboxes::files::read)))
        .routes(key(Class::SandboxFilesWrite, SandboxSessionsExec, routes!(sandboxes::files::write)))
        .routes(key(Class::SandboxFilesRead, SandboxSessionsExec, routes!(sandboxes::files::stat)))
        .routes(key(Class::SandboxFilesList, SandboxSessionsExec, routes!(sandboxes::folders::list)))
        .routes(key(Class::SandboxFilesWrite, SandboxSessionsExec, routes!(sandboxes::folders::make)))
        .routes(key(Class::SandboxFilesWrite, SandboxSessionsExec, routes!(sandboxes::folders::rename)))
        .routes(key(Class::SandboxFilesWrite, SandboxSessionsExec, routes!(sandboxes::folders::delete)))
        .routes(key(Class::SandboxFilesRead, SandboxSessionsExec, routes!(sandboxes::raw::read)))
        .routes(key(Class::SandboxFilesWrite, SandboxSessionsExec, routes!(sandboxes::raw::write)))
        .routes(key(Class::SandboxFilesRead, SandboxSessionsExec, routes!(sandboxes::watch::watch)))
        .routes(key(Class::SandboxesWrite, SandboxSessionsExec, routes!(sandboxes::checkpoints::create)))
        .routes(key(Class::SandboxesRead, SandboxSessionsRead, routes!(sandboxes::checkpoints::list)))
        .routes(key(Class::SandboxesWrite, SandboxSessionsExec, routes!(sandboxes::checkpoints::restore)))
        .routes(key(Class::SandboxesRead, SandboxSessionsRead, routes!(sandboxes::artifacts::list)))
        .routes(key(Class::SandboxesRead, SandboxSessionsRead, routes!(sandboxes::artifacts::download)))
        .routes(key(Class::SandboxesWrite, SandboxSessionsExec, routes!(sandboxes::documents::convert)))
        .routes(key(Class::ProfilesRead, BrowserSessionsRead, routes!(profiles::list)))
        .routes(key(Class::ProfilesWrite, BrowserSessionsDelete, routes!(profiles::delete)))
        .routes(key(Class::UsageRead, OrgBilling, routes!(usage::read)))
        .routes(key(Class::ApiKeysWrite, ApiKeysManage, routes!(api_keys::create)))
        .routes(key(Class::ApiKeysRead, ApiKeysManage, routes!(api_keys::list)))
        .routes(key(Class::ApiKeysWrite, ApiKeysManage, routes!(api_keys::revoke)))
        .routes(key(Class::ApiKeysWrite, ApiKeysManage, routes!(api_keys::rotate)))
        .routes(key(Class::WebhooksWrite, WebhooksManage, routes!(webhooks::create::create)))
        .routes(key(Class::WebhooksRead, WebhooksManage, routes!(webhooks::read::read)))
        .routes(key(Class::WebhooksWrite, WebhooksManage, routes!(webhooks::change::change)))
        .routes(key(Class::WebhooksWrite, WebhooksManage, routes!(webhooks::delete::delete)))
        .routes(key(Class::WebhooksRead, WebhooksManage, routes!(webhooks::deliveries::list)))
        .routes(key(Class::WebhooksWrite, WebhooksManage, routes!(webhooks::test::test)))
        .routes(key(Class::EmbedCreate, BrowserSessionsCreate, routes!(sessions::create::create)))
        .routes(key(Class::EmbedRead, BrowserSessionsRead, routes!(sessions::read::read)))
        .routes(key(Class::EmbedWrite, BrowserSessionsDelete, routes!(sessions::end::end)))
        .routes(key(Class::EmbedWrite, BrowserSessionsDelete, routes!(sessions::change::change)))
        .routes(key(Class::EmbedRead, BrowserSessionsRead, routes!(balance::read)))
        .routes(open(Class::EmbedPublic, routes!(pricing::read)))
        .routes(open(Class::Checkout, routes!(checkout::create)))
        .routes(operator(routes!(organizations::list, organizations::create)))
        .routes(operator(routes!(organizations::set_plan)))
        .routes(operator(routes!(keys::list, keys::create, keys::revoke)))
        .routes(operator(routes!(minutes::read, minutes::grant)))
        .routes(operator(routes!(minutes::orders)))
        .routes(operator(routes!(minutes::confirm)))
        .routes(operator(routes!(machines::list)))
        .routes(operator(routes!(machines::drain)))
        .routes(operator(routes!(overview::sessions)))
        .routes(operator(routes!(overview::upstreams)))
        .routes(operator(routes!(overview::configuration)))
        .routes(operator(routes!(overview::invariants)))
        .routes(routes!(health::health))
        .routes(routes!(health::metrics))
        .split_for_parts()
}

/// What clients reach, with the gateway's routes.
pub fn public(app: &App, gateway: Router) -> Router {
    let (operations, document) = operations(app);
    let mut router = operations.merge(docs::router(&document)).merge(artifacts::router()).merge(embed::router(app));
    router = router.merge(sandboxes::absent::router(app));
    if app.config.join_token.is_some() {
        router = router.merge(node::router());
    }
    router
        .with_state(app.clone())
        .merge(gateway)
        .fallback(observe::no_route)
        .method_not_allowed_fallback(observe::no_method)
        .layer(from_fn_with_state(app.clone(), observe::observe))
}

/// What nodes in this process reach.
pub fn internal(app: &App) -> Router {
    node::router().with_state(app.clone()).layer(from_fn_with_state(app.clone(), observe::observe))
}

/// The API document.
pub fn document(app: &App) -> OpenApi {
    operations(app).1
}

fn guarded(app: &App, gate: Gate, routes: UtoipaMethodRouter<App>) -> UtoipaMethodRouter<App> {
    let (schemas, mut paths, methods) = routes;
    openapi::demand(&mut paths, gate, &app.config);
    (schemas, paths, methods.route_layer(from_fn_with_state((app.clone(), gate), admit)))
}
