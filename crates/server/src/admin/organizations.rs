//! `/admin/v1/organizations`.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::words;
use crate::request::{Fields, body};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::{Error, OrganizationId, Plan};
use vitrine_store::Organization;

/// Longest name of an organization.
const NAME_BYTES_MAX: usize = 100;

/// An organization.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationView {
    pub id: String,
    #[schema(example = "Example Ltd")]
    pub name: String,
    #[schema(schema_with = plans)]
    pub plan: Plan,
    pub created_at: i64,
}

/// All organizations, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrganizationList {
    pub data: Vec<OrganizationView>,
}

/// What a new organization should be.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CreateOrganization)]
pub struct OrganizationWish {
    #[schema(max_length = 100, example = "Example Ltd")]
    pub name: String,
    #[schema(schema_with = plans)]
    pub plan: Plan,
}

/// Which organization goes on which plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SetPlan)]
pub struct PlanWish {
    pub id: String,
    #[schema(schema_with = plans)]
    pub plan: Plan,
}

fn plans() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("What the organization pays for", Plan::ALL.map(Plan::as_str))
}

impl From<Organization> for OrganizationView {
    fn from(organization: Organization) -> Self {
        let Organization { id, name, plan, created_at } = organization;
        Self { id: id.to_string(), name, plan, created_at }
    }
}

impl App {
    /// Makes an organization.
    pub async fn make_organization(&self, name: &str, plan: Plan) -> Result<Organization, Error> {
        let now = self.clock.now();
        let id = OrganizationId::new(now, self.entropy.as_ref());
        let organization = Organization { id, name: name.to_owned(), plan, created_at: now };
        self.store.create_organization(&organization).await.map_err(Error::internal)?;
        Ok(organization)
    }
}

/// List the organizations.
#[utoipa::path(
    get, path = "/admin/v1/organizations", operation_id = "listOrganizations", tag = "Operator",
    responses((status = 200, description = "All of them", body = OrganizationList))
)]
pub async fn list(State(app): State<App>) -> Answer<Json<OrganizationList>> {
    let organizations = app.store.organizations().await?;
    Ok(Json(OrganizationList { data: organizations.into_iter().map(OrganizationView::from).collect() }))
}

/// Make an organization. It has no API key yet.
#[utoipa::path(
    post, path = "/admin/v1/organizations", operation_id = "createOrganization", tag = "Operator",
    request_body = OrganizationWish,
    responses((status = 201, description = "The organization", body = OrganizationView))
)]
pub async fn create(State(app): State<App>, body: Body) -> Answer<(StatusCode, Json<OrganizationView>)> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let name = fields.required("name", fields.text("name", 1..=NAME_BYTES_MAX)?)?;
    let plan = fields.required("plan", fields.word("plan", &Plan::ALL, Plan::as_str)?)?;
    let organization = app.make_organization(name, plan).await?;
    Ok((StatusCode::CREATED, Json(organization.into())))
}

/// Put an organization on a plan.
#[utoipa::path(
    post, path = "/admin/v1/organizations/plan", operation_id = "setPlan", tag = "Operator", request_body = PlanWish,
    responses((status = 200, description = "The organization", body = OrganizationView))
)]
pub async fn set_plan(State(app): State<App>, body: Body) -> Answer<Json<OrganizationView>> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let plan = fields.required("plan", fields.word("plan", &Plan::ALL, Plan::as_str)?)?;
    let organization = super::organization(&app, &fields, "id").await?;
    if !app.store.set_plan(&organization.id, plan).await? {
        return Err(Error::not_found("organization").into());
    }
    Ok(Json(Organization { plan, ..organization }.into()))
}
