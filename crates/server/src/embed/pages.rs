//! The routes of what people see: the way in, the page of a session, the element and the page that shows it.

use super::{assets, login, page, page_files, trouble};
use crate::app::App;
use crate::config::Class;
use crate::gate::{Gate, admit};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

/// What people and their browsers ask for.
pub fn router(app: &App) -> Router<App> {
    let gate = Gate::Open { class: Class::EmbedPublic };
    // Each of these reads or writes a row.
    let ways_in = Router::new()
        .route("/login", get(login::login))
        .route("/s/{session}/", get(page::page))
        .route("/s/{session}/token", post(page::token))
        .route_layer(from_fn_with_state((app.clone(), gate), admit));
    ways_in
        .route("/s/{session}", get(page::to_page))
        .route("/s/{session}/files", get(page_files::list))
        .route("/s/{session}/files/raw", get(page_files::read).put(page_files::write))
        .route("/s/assets/{hash}/{name}", get(assets::page_part))
        .route("/s/trouble.js", get(trouble::script))
        .route("/s/trouble.css", get(trouble::style))
        .route("/browserbox-webview.js", get(assets::script))
        .route("/vitrine-webview.js", get(assets::script))
        .route("/browserbox-webview.d.ts", get(assets::types))
        .route("/vitrine-webview.d.ts", get(assets::types))
        .route("/assets/{name}", get(assets::version))
        .route("/demo", get(assets::demo))
        .route("/demo/assets/{hash}/{name}", get(assets::demo_part))
}
