//! `GET /v1/usage`: what the organization used this month.

use crate::answer::Answer;
use crate::app::App;
use crate::clock::month_start;
use crate::gate::Caller;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// Milliseconds of an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// The current billing period.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageAnswer {
    #[schema(example = 42)]
    pub total_sessions: u64,
    #[schema(example = 12.5)]
    pub total_browser_hours: f64,
    #[schema(example = 0.0)]
    pub total_sandbox_hours: f64,
    pub weight_breakdown: WeightBreakdown,
    /// The first of the month, UTC.
    #[schema(example = 1_709_251_200_000_i64)]
    pub period_start: i64,
}

/// Browser sessions by weight.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WeightBreakdown {
    #[schema(example = 20)]
    pub light: u64,
    #[schema(example = 15)]
    pub medium: u64,
    #[schema(example = 7)]
    pub heavy: u64,
    /// Embed sessions that were also driven over the DevTools protocol, where there were any; their hours are paid in minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 1)]
    pub embed: Option<u64>,
}

/// Current billing period usage.
///
/// Sessions that run count up to now.
#[utoipa::path(
    get, path = "/v1/usage", operation_id = "readUsage", tag = "Usage",
    responses((status = 200, description = "The period's sums", body = UsageAnswer))
)]
pub async fn read(State(app): State<App>, caller: Caller) -> Answer<Json<UsageAnswer>> {
    let now = app.clock.now();
    let period_start = month_start(now);
    let usage = app.store.usage(caller.organization_id(), period_start, now).await?;
    Ok(Json(UsageAnswer {
        total_sessions: usage.total_sessions,
        total_browser_hours: usage.browser_ms as f64 / HOUR_MS,
        total_sandbox_hours: usage.sandbox_ms as f64 / HOUR_MS,
        weight_breakdown: WeightBreakdown {
            light: usage.weights.light,
            medium: usage.weights.medium,
            heavy: usage.weights.heavy,
            embed: Some(usage.weights.embed).filter(|count| *count > 0),
        },
        period_start,
    }))
}
