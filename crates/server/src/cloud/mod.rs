//! The cloud API, `/v1`. One folder for each resource, one file for each verb.

pub mod api_keys;
pub mod browsers;
pub mod profiles;
pub mod usage;
pub mod webhooks;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

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
