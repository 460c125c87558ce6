//! `/admin/v1/minutes` and `/admin/v1/orders`: minutes that the operator grants, and orders whose payment it confirms.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::words;
use crate::request::{Fields, Query, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use vitrine_model::{Code, Error, OrderId, OrganizationId};
use vitrine_store::{Balance, Order, OrderStatus, Organization};

/// Most minutes of one grant.
const GRANT_MAX: u64 = 10_000_000;
/// Longest note.
const NOTE_BYTES_MAX: usize = 200;
/// Orders in a list.
const ORDERS_MAX: u32 = 200;

/// An organization's minutes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OrganizationMinutes)]
pub struct MinutesView {
    /// The organization's id.
    pub organization: String,
    #[schema(example = "Example Ltd")]
    pub name: String,
    /// Free for new sessions.
    pub balance_minutes: i64,
    /// Deducted for sessions that are not over.
    pub reserved_minutes: i64,
    /// Ever bought or granted.
    pub lifetime_minutes: i64,
    pub active_sessions: i64,
}

/// Minutes for nothing.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = GrantMinutes, example = json!({"minutes": 600}))]
pub struct GrantWish {
    /// The organization's id; left out: the deployment's first.
    #[schema(nullable = false)]
    pub organization: Option<String>,
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub minutes: u32,
    /// What for.
    #[schema(required = false, max_length = 200)]
    pub note: String,
}

/// Which order is paid.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ConfirmOrder)]
pub struct Confirmation {
    pub id: String,
}

/// An order of minutes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MinuteOrder)]
pub struct OrderView {
    pub id: String,
    #[schema(example = "minutes_300")]
    pub product: String,
    pub minutes: u32,
    pub price_cents: u32,
    #[schema(example = "usd")]
    pub currency: String,
    pub email: Option<String>,
    #[schema(example = "manual")]
    pub provider: String,
    /// Whose the minutes are; null until the payment makes an organization.
    pub organization: Option<String>,
    #[schema(schema_with = statuses)]
    pub status: &'static str,
    pub created_at: i64,
    pub paid_at: Option<i64>,
}

/// Orders, newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MinuteOrderList)]
pub struct OrderList {
    pub data: Vec<OrderView>,
}

fn statuses() -> RefOr<Schema> {
    words("Whether it is paid", OrderStatus::ALL.map(OrderStatus::as_str))
}

impl From<Order> for OrderView {
    fn from(order: Order) -> Self {
        Self {
            id: order.id.to_string(),
            product: order.product,
            minutes: order.minutes,
            price_cents: order.price_cents,
            currency: order.currency,
            email: order.email,
            provider: order.provider,
            organization: order.organization.map(String::from),
            status: order.status.as_str(),
            created_at: order.created_at,
            paid_at: order.paid_at,
        }
    }
}

fn view(organization: Organization, balance: Balance) -> MinutesView {
    MinutesView {
        organization: organization.id.to_string(),
        name: organization.name,
        balance_minutes: balance.balance_minutes,
        reserved_minutes: balance.reserved_minutes,
        lifetime_minutes: balance.lifetime_minutes,
        active_sessions: balance.active_sessions,
    }
}

/// The organization of this id, else the deployment's first.
async fn organization(app: &App, id: Option<&str>) -> Result<Organization, Error> {
    let found = match id {
        Some(id) => {
            let id: OrganizationId = id.parse().map_err(|_| Error::not_found("organization"))?;
            app.store.organization(&id).await.map_err(Error::internal)?
        }
        None => app.store.organizations().await.map_err(Error::internal)?.into_iter().next(),
    };
    found.ok_or_else(|| Error::not_found("organization"))
}

/// Read an organization's minutes.
#[utoipa::path(
    get, path = "/admin/v1/minutes", operation_id = "readMinutes", tag = "Operator",
    params(("organization" = Option<String>, Query, description = "Its id; left out: the deployment's first")),
    responses((status = 200, description = "Its minutes", body = MinutesView))
)]
pub async fn read(State(app): State<App>, query: Query) -> Answer<Json<MinutesView>> {
    let organization = organization(&app, query.text("organization")).await?;
    let balance = app.store.minutes(&organization.id).await?;
    Ok(Json(view(organization, balance)))
}

/// Grant an organization minutes.
#[utoipa::path(
    post, path = "/admin/v1/minutes", operation_id = "grantMinutes", tag = "Operator", request_body = GrantWish,
    responses((status = 200, description = "Its minutes now", body = MinutesView))
)]
pub async fn grant(State(app): State<App>, body: Body) -> Answer<Json<MinutesView>> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let minutes = fields.required("minutes", fields.integer("minutes", 1..=GRANT_MAX)?)? as u32;
    let note = fields.text("note", 0..=NOTE_BYTES_MAX)?.unwrap_or_default();
    let organization = organization(&app, fields.text("organization", 1..=64)?).await?;
    let balance = app.store.grant_minutes(&organization.id, minutes, note, app.clock.now()).await?;
    tracing::info!(organization = %organization.id, minutes, "minutes granted");
    Ok(Json(view(organization, balance)))
}

/// List orders of minutes.
#[utoipa::path(
    get, path = "/admin/v1/orders", operation_id = "listOrders", tag = "Operator",
    params(("status" = Option<String>, Query, description = "`pending`, `paid` or `cancelled`; left out: all")),
    responses((status = 200, description = "The newest 200", body = OrderList))
)]
pub async fn orders(State(app): State<App>, query: Query) -> Answer<Json<OrderList>> {
    let status = match query.text("status") {
        None => None,
        Some(word) => Some(
            OrderStatus::parse(word)
                .ok_or_else(|| Error::invalid("status", "expected one of pending, paid, cancelled"))?,
        ),
    };
    let orders = app.store.orders(status, ORDERS_MAX).await?;
    Ok(Json(OrderList { data: orders.into_iter().map(OrderView::from).collect() }))
}

/// Confirm that an order is paid: its minutes are granted, once.
#[utoipa::path(
    post, path = "/admin/v1/orders/confirm", operation_id = "confirmOrder", tag = "Operator",
    request_body = Confirmation,
    responses((status = 200, description = "The order", body = OrderView))
)]
pub async fn confirm(State(app): State<App>, body: Body) -> Answer<Json<OrderView>> {
    let body = body::object(body, app.body_limits()).await?;
    let id: OrderId = Fields::of(&body).id("id", "order")?;
    match app.pay(&id).await? {
        Some(paid) => Ok(Json(paid.order.into())),
        None if app.store.order(&id).await?.is_some() => {
            Err(Error::new(Code::InvalidState, "the order was cancelled").with("status", "cancelled").into())
        }
        None => Err(Error::not_found("order").into()),
    }
}
