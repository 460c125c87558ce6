//! `GET /api/v1/balance`: the organization's minutes.

use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::{Kind, Plan};

/// An organization's minutes, and who it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MinuteBalance)]
pub struct BalanceView {
    /// Free for new sessions.
    #[schema(example = 285)]
    pub balance_minutes: i64,
    /// Deducted for sessions that are not over.
    #[schema(example = 15)]
    pub reserved_minutes: i64,
    /// Ever bought or granted.
    #[schema(example = 300)]
    pub lifetime_minutes: i64,
    #[schema(example = 1)]
    pub active_sessions: i64,
    /// Browser sessions at once, whatever pays for them.
    #[schema(example = 100)]
    pub concurrent_limit: u32,
    #[schema(value_type = String, example = "scale")]
    pub plan: Plan,
    /// Of its latest order; null when it never ordered with one.
    pub email: Option<String>,
}

/// Current minute balance and account metadata.
#[utoipa::path(
    get, path = "/api/v1/balance", operation_id = "readBalance", tag = "Minutes",
    responses((status = 200, description = "The organization's minutes", body = BalanceView))
)]
pub async fn read(State(app): State<App>, caller: Caller) -> Answer<Json<BalanceView>> {
    let balance = app.store.minutes(caller.organization_id()).await?;
    let plan = caller.organization.plan;
    Ok(Json(BalanceView {
        balance_minutes: balance.balance_minutes,
        reserved_minutes: balance.reserved_minutes,
        lifetime_minutes: balance.lifetime_minutes,
        active_sessions: balance.active_sessions,
        concurrent_limit: app.config.plans.get(plan).concurrent(Kind::Browser),
        plan,
        email: app.store.order_email(caller.organization_id()).await?,
    }))
}
