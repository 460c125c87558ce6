//! The routes of what people see: the way in, the page of a session, the element and the page that shows it.

use super::{assets, login, page, page_files, trouble};
use crate::app::App;
use axum::Router;
use axum::routing::{get, post};

/// What people and their browsers ask for.
pub fn router() -> Router<App> {
    Router::new()
        .route("/login", get(login::login))
        .route("/s/{session}", get(page::to_page))
        .route("/s/{session}/", get(page::page))
        .route("/s/{session}/token", post(page::token))
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
