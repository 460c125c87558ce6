//! The cloud API, `/v1`. One folder for each resource, one file for each verb.

pub mod api_keys;
pub mod artifacts;
pub mod browsers;
pub mod profiles;
pub mod queue;
pub mod sandboxes;
pub mod usage;
pub mod webhooks;

use crate::app::App;
use crate::config::is_region;
use crate::gate::Caller;
use crate::request::Fields;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use vitrine_model::{EndReason, Error, Feature, Kind, OrganizationId, Plan, SessionId, Status};
use vitrine_store::{Session, SessionError};

/// How often a request that waits for a session looks at its row although nobody woke it: another server may have moved it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest text that is read as a region.
const REGION_BYTES_MAX: usize = 64;

/// It is done.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Done {
    #[schema(example = true)]
    pub ok: bool,
}

/// The answer to what has nothing else to say.
pub const DONE: Done = Done { ok: true };

/// The shape of every error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// For a person: names the field and says what would be right.
    #[schema(example = "maxDurationMs: expected a whole number of at least 1000")]
    pub error: String,
    /// For a program.
    #[schema(example = "INVALID_REQUEST")]
    pub code: String,
    /// Facts beside the text: `field`, `requiredPlan`, `currentPlan`, `limit`, `reason`, `status`…
    #[serde(flatten)]
    #[schema(additional_properties)]
    pub context: std::collections::BTreeMap<String, serde_json::Value>,
}

/// A schema of a closed list of words, and what they mean.
pub fn words(meaning: &str, all: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(all)).description(Some(meaning));
    RefOr::T(Schema::Object(object.build()))
}

/// Why a session failed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SessionError)]
pub struct Failed {
    #[schema(example = "SCHEDULING_FAILED")]
    pub code: String,
    #[schema(example = "queue_timeout")]
    pub reason: String,
    pub message: String,
}

impl From<SessionError> for Failed {
    fn from(SessionError { code, reason, message }: SessionError) -> Self {
        Self { code, reason, message }
    }
}

/// Bytes between a session and the world.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    pub bytes_in: u64,
    pub bytes_out: u64,
}

fn statuses() -> RefOr<Schema> {
    words("Where it is in its life", Status::ALL.map(Status::as_str))
}

fn end_reasons() -> RefOr<Schema> {
    words("Why it is over; null until then", EndReason::ALL.map(EndReason::as_str))
}

/// A session of the caller's organization.
async fn owned(app: &App, caller: &Caller, kind: Kind, id: &SessionId) -> Result<Session, Error> {
    session_of(app, caller.organization_id(), kind, id).await
}

async fn session_of(app: &App, organization: &OrganizationId, kind: Kind, id: &SessionId) -> Result<Session, Error> {
    let session = app.store.session_of(organization, id).await.map_err(Error::internal)?;
    session.filter(|session| session.kind() == kind).ok_or_else(|| {
        Error::not_found(match kind {
            Kind::Browser => "session",
            Kind::Sandbox => "sandbox",
        })
    })
}

/// The session, as soon as `is_settled` says so or the time is over.
pub async fn settled(
    app: &App,
    caller: &Caller,
    (kind, id): (Kind, &SessionId),
    wait: Duration,
    is_settled: impl Fn(&Session) -> bool,
) -> Result<Session, Error> {
    settled_of(app, caller.organization_id(), (kind, id), wait, is_settled).await
}

/// The same for an organization.
pub async fn settled_of(
    app: &App,
    organization: &OrganizationId,
    (kind, id): (Kind, &SessionId),
    wait: Duration,
    is_settled: impl Fn(&Session) -> bool,
) -> Result<Session, Error> {
    let deadline = Instant::now() + wait;
    let mut waiting = app.wakes.sessions.subscribe(id);
    loop {
        let session = session_of(app, organization, kind, id).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if is_settled(&session) || left.is_zero() || app.closing.is_cancelled() {
            return Ok(session);
        }
        tokio::select! {
            () = waiting.woken() => {}
            () = app.closing.cancelled() => {}
            () = tokio::time::sleep(left.min(LOOK_EVERY)) => {}
        }
    }
}

/// Whether a session is no longer on its way to a machine.
pub fn has_arrived(session: &Session) -> bool {
    !matches!(session.status, Status::Queued | Status::Assigning)
}

/// Fails when the plan lacks the feature.
fn check_feature(app: &App, plan: Plan, feature: Option<Feature>) -> Result<(), Error> {
    match feature.filter(|feature| !app.config.plans.get(plan).features.contains(feature)) {
        Some(feature) => {
            let required = app.config.plans.cheapest_with(feature).unwrap_or(Plan::Scale);
            Err(Error::plan_feature(feature, required, plan))
        }
        None => Ok(()),
    }
}

/// `region`, where the client names one.
fn region(fields: &Fields) -> Result<Option<String>, Error> {
    let region = fields.text("region", 1..=REGION_BYTES_MAX)?;
    match region.is_some_and(|region| !is_region(region)) {
        true => Err(fields.wrong("region", "expected three letters of a-z, for example iad")),
        false => Ok(region.map(str::to_owned)),
    }
}
