//! Saved browser profiles: one for each organization and key, replaced whole by the session that holds the key.
//!
//! The unique index on the sessions' `profile_key` makes one writer at a time; a profile is taken only from the owner of a
//! session that is not over, so that a machine that comes back from the dead replaces nothing.

use crate::artifact::is_of;
use crate::backend::{Row, retry, values};
use crate::{Bringing, ObjectKey, Result, Session, Store};
use vitrine_model::wire::ObjectRequest;
use vitrine_model::{EpochMs, OrganizationId, SessionId};

/// How long the last good version stays after it was replaced: a session that just began may still be fetching it.
const REPLACED_KEPT_MS: EpochMs = 600_000;
/// Profiles that an organization is shown.
const LISTED_MAX: i64 = 1_000;

/// A saved profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub key: String,
    /// One more with each save.
    pub version: u64,
    pub size: u64,
    pub sha256: [u8; 32],
    pub object: ObjectKey,
    pub saved_at: EpochMs,
    /// The session that saved it.
    pub last_session: SessionId,
    /// Whether a session that is not over holds the key.
    pub in_use: bool,
}

/// A profile whose bytes are there.
#[derive(Debug, Clone)]
pub struct NewProfile {
    pub size: u64,
    pub sha256: [u8; 32],
    pub object: ObjectKey,
}

/// What became of a wish to delete a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    Done,
    Unknown,
    InUse,
}

macro_rules! profiles {
    ($rest:literal) => {
        concat!(
            "SELECT p.key, p.version, p.size, p.sha256, p.object, p.saved_at, p.last_session,
                 (SELECT count(*) FROM sessions s WHERE s.organization = p.organization AND s.profile_key = p.key
                     AND s.profile_key IS NOT NULL AND s.status NOT IN ('ended', 'failed')) AS in_use
             FROM profiles p ",
            $rest
        )
    };
}

impl Profile {
    fn from_row(row: &Row) -> Result<Profile> {
        Ok(Profile {
            key: row.get("key")?,
            version: row.number("version")?,
            size: row.number("size")?,
            sha256: row.bytes("sha256")?,
            object: ObjectKey::from_row(row.get("object")?),
            saved_at: row.get("saved_at")?,
            last_session: row.word("last_session", |text| SessionId::parse(text).ok())?,
            in_use: row.get::<i64>("in_use")? > 0,
        })
    }
}

/// Whether a profile may still come from this machine: it owns the session, which is not over.
fn owns(session: &Session, request: &ObjectRequest) -> bool {
    is_of(session, request) && session.machine_epoch == request.epoch && session.status.holds_machine()
}

impl Store {
    /// The newest good version.
    pub async fn profile(&self, organization: &OrganizationId, key: &str) -> Result<Option<Profile>> {
        const SQL: &str = profiles!("WHERE p.organization = $1 AND p.key = $2");
        self.first(SQL, values![organization.as_str(), key]).await?.as_ref().map(Profile::from_row).transpose()
    }

    /// An organization's profiles by key; a bounded number.
    pub async fn profiles(&self, organization: &OrganizationId) -> Result<Vec<Profile>> {
        const SQL: &str = profiles!("WHERE p.organization = $1 ORDER BY p.key LIMIT $2");
        let rows = self.all(SQL, values![organization.as_str(), LISTED_MAX]).await?;
        rows.iter().map(Profile::from_row).collect()
    }

    /// Replaces a profile by a version whose bytes are there.
    pub async fn publish_profile(&self, request: &ObjectRequest, new: &NewProfile, now: EpochMs) -> Result<Bringing> {
        retry(|| self.publish_profile_once(request, new, now)).await
    }

    async fn publish_profile_once(&self, request: &ObjectRequest, new: &NewProfile, now: EpochMs) -> Result<Bringing> {
        let mut tx = self.begin().await?;
        let session = tx.session(&request.session).await?.filter(|session| owns(session, request));
        let Some((session, key)) = session.and_then(|session| Some((session.clone(), session.profile_key?))) else {
            tx.rollback().await?;
            return Ok(Bringing::NotYours);
        };
        let organization = session.organization.as_str();
        const BEFORE: &str = "SELECT version, object FROM profiles WHERE organization = $1 AND key = $2";
        let before = tx.first(BEFORE, values![organization, key.as_str()]).await?;
        let version = match &before {
            Some(row) => row.get::<i64>("version")? + 1,
            None => 1,
        };
        const SAVE: &str = "INSERT INTO profiles (organization, key, version, size, sha256, object, saved_at, last_session)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (organization, key) DO UPDATE SET version = excluded.version,
                size = excluded.size, sha256 = excluded.sha256, object = excluded.object, saved_at = excluded.saved_at,
                last_session = excluded.last_session";
        let object = new.object.as_str();
        let values =
            values![organization, key.as_str(), version, new.size, &new.sha256, object, now, session.id.as_str()];
        tx.keep_object(&new.object).await?;
        tx.run(SAVE, values).await?;
        if let Some(row) = before {
            tx.loosen_object(&ObjectKey::from_row(row.get("object")?), now + REPLACED_KEPT_MS).await?;
        }
        tx.commit().await?;
        Ok(Bringing::Kept { key: None })
    }

    /// Deletes a profile that no session uses; its object is due then.
    pub async fn remove_profile(&self, organization: &OrganizationId, key: &str, now: EpochMs) -> Result<Removal> {
        retry(|| self.remove_profile_once(organization, key, now)).await
    }

    async fn remove_profile_once(&self, organization: &OrganizationId, key: &str, now: EpochMs) -> Result<Removal> {
        const SQL: &str = profiles!("WHERE p.organization = $1 AND p.key = $2");
        const DELETE: &str = "DELETE FROM profiles WHERE organization = $1 AND key = $2";
        let mut tx = self.begin().await?;
        // As for creations: no session takes the key before this is over.
        tx.lock_organization(organization).await?;
        let values = values![organization.as_str(), key];
        let found = tx.first(SQL, values).await?.as_ref().map(Profile::from_row).transpose()?;
        let removal = match found {
            None => Removal::Unknown,
            Some(profile) if profile.in_use => Removal::InUse,
            Some(profile) => {
                tx.run(DELETE, values).await?;
                tx.loosen_object(&profile.object, now).await?;
                Removal::Done
            }
        };
        tx.commit().await?;
        Ok(removal)
    }

    /// Deletes the profiles that were last saved before then and that no session uses; answers how many.
    pub async fn remove_stale_profiles(&self, saved_before: EpochMs, now: EpochMs) -> Result<usize> {
        const STALE: &str = "SELECT organization, key FROM profiles WHERE saved_at < $1 ORDER BY saved_at LIMIT 100";
        let mut removed = 0;
        for row in self.all(STALE, values![saved_before]).await? {
            let organization = row.word("organization", |text| OrganizationId::parse(text).ok())?;
            let key: String = row.get("key")?;
            removed += usize::from(self.remove_profile(&organization, &key, now).await? == Removal::Done);
        }
        Ok(removed)
    }

    /// The profile that a session starts from, for the machine that owns the session.
    pub async fn profile_for(&self, request: &ObjectRequest) -> Result<Option<Profile>> {
        let session = self.session(&request.session).await?.filter(|session| owns(session, request));
        match session.and_then(|session| Some((session.organization, session.profile_key?))) {
            Some((organization, key)) => self.profile(&organization, &key).await,
            None => Ok(None),
        }
    }
}
