//! `POST /v1/browsers/screenshot`: a picture of the active tab, kept among the session's artifacts.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::words;
use crate::gate::Caller;
use crate::request::{Fields, body};
use crate::run;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;
use vitrine_model::SessionId;

/// A page that is long and busy takes a while to paint.
const SCREENSHOT_TIME_MAX: Duration = Duration::from_secs(60);
/// Formats of a picture.
const FORMATS: [&str; 3] = ["png", "jpeg", "webp"];
/// Longest id of a target.
const TARGET_BYTES_MAX: usize = 64;

fn formats() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("How the picture is coded", FORMATS)
}

/// Which picture.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateScreenshot)]
pub struct Wish {
    pub id: String,
    /// The whole page, not only what is in view.
    #[schema(required = false, default = false)]
    pub full_page: bool,
    #[schema(required = false, schema_with = formats, default = "png")]
    pub format: String,
    /// Of `jpeg` and `webp`.
    #[schema(nullable = false, minimum = 1, maximum = 100)]
    pub quality: Option<u8>,
    /// A tab's DevTools target; the active one when left out.
    #[schema(nullable = false)]
    pub target_id: Option<String>,
}

/// A kept picture.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Screenshot {
    /// Of the artifact.
    #[schema(example = "screenshots/1.png")]
    pub key: String,
    pub size: u64,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    #[schema(example = "image/png")]
    pub content_type: String,
}

/// Take a picture of a tab.
///
/// It is kept among the session's artifacts, and fetched like them.
#[utoipa::path(
    post, path = "/v1/browsers/screenshot", operation_id = "createScreenshot", tag = "Browser sessions",
    request_body = Wish, responses((status = 200, description = "The picture's key", body = Screenshot))
)]
pub async fn create(State(app): State<App>, caller: Caller, body: Body) -> Answer<Json<Screenshot>> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let id: SessionId = fields.id("id", "session")?;
    let format = fields.word("format", &FORMATS, |format| format)?.unwrap_or(FORMATS[0]);
    let quality = fields.integer("quality", 1..=100)?;
    if quality.is_some() && format == FORMATS[0] {
        return Err(fields.wrong("quality", "is of jpeg and webp only").into());
    }
    let mut wish = json!({"fullPage": fields.flag("fullPage")?.unwrap_or(false), "format": format});
    if let Some(quality) = quality {
        wish["quality"] = quality.into();
    }
    if let Some(target) = fields.text("targetId", 1..=TARGET_BYTES_MAX)? {
        wish["targetId"] = target.into();
    }
    let session = super::owned(&app, &caller, &id).await?;
    let connected = app.dial_run(&session, "taking a picture").await?;
    let request = run::json_request(Method::POST, "/screenshot", &wish)?;
    Ok(Json(run::json(run::ask(connected, request, SCREENSHOT_TIME_MAX).await?).await?))
}
