//! `/v1/profiles`: saved browser profiles.

use crate::answer::Answer;
use crate::app::App;
use crate::cloud::{DONE, Done, ErrorBody};
use crate::gate::Caller;
use crate::request::Query;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vitrine_model::{Code, Error};
use vitrine_store::{Profile, Removal};

/// A saved browser profile: cookies, storage and logins under the `profileKey` of its sessions.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SavedProfile {
    /// The `profileKey`.
    #[schema(example = "shop")]
    pub key: String,
    /// One more with each session that ended well.
    pub version: u64,
    /// Bytes, compressed.
    pub size: u64,
    /// Epoch milliseconds.
    pub saved_at: i64,
    /// A session that is not over holds it: no other can have it, and it cannot be deleted.
    pub in_use: bool,
}

/// Saved profiles by key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SavedProfileList {
    pub data: Vec<SavedProfile>,
}

impl From<Profile> for SavedProfile {
    fn from(profile: Profile) -> Self {
        let Profile { key, version, size, saved_at, in_use, .. } = profile;
        Self { key, version, size, saved_at, in_use }
    }
}

/// List saved browser profiles.
#[utoipa::path(
    get, path = "/v1/profiles", operation_id = "listProfiles", tag = "Profiles",
    responses((status = 200, description = "By key", body = SavedProfileList))
)]
pub async fn list(State(app): State<App>, caller: Caller) -> Answer<Json<SavedProfileList>> {
    let profiles = app.store.profiles(caller.organization_id()).await?;
    Ok(Json(SavedProfileList { data: profiles.into_iter().map(SavedProfile::from).collect() }))
}

/// Delete a saved browser profile.
///
/// The next session with its `profileKey` begins with nothing.
#[utoipa::path(
    delete, path = "/v1/profiles", operation_id = "deleteProfile", tag = "Profiles",
    params(("key" = String, Query, description = "The `profileKey`")),
    responses(
        (status = 200, description = "It is gone", body = Done),
        (status = 409, description = "`PROFILE_IN_USE`: a session that is not over holds it", body = ErrorBody),
    )
)]
pub async fn delete(State(app): State<App>, caller: Caller, query: Query) -> Answer<Json<Done>> {
    let key = query.text("key").filter(|key| !key.is_empty()).ok_or_else(|| Error::invalid("key", "is missing"))?;
    match app.store.remove_profile(caller.organization_id(), key, app.clock.now()).await? {
        Removal::Done => Ok(Json(DONE)),
        Removal::Unknown => Err(Error::not_found("profile").into()),
        Removal::InUse => Err(Error::new(Code::ProfileInUse, "a session uses this profile").into()),
    }
}
