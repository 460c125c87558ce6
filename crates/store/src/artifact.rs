//! Artifacts: what a session leaves behind, each under a key that is unique in its session.
//!
//! Who brings one is guarded by `(machine, generation, run)` whatever the session's status, because what was recorded is
//! brought after the end.

use crate::backend::{Row, Transaction, retry, values};
use crate::{ObjectKey, Result, Session, Store};
use vitrine_model::wire::ObjectRequest;
use vitrine_model::{ArtifactKind, EpochMs, Happening, SessionId};

/// Expired artifacts that are dropped in one transaction.
const BATCH: i64 = 500;

/// A kept file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub session: SessionId,
    /// For example `downloads/report.pdf`.
    pub key: String,
    pub kind: ArtifactKind,
    /// As it was called before its key was made unique.
    pub name: String,
    pub content_type: String,
    pub size: u64,
    pub sha256: [u8; 32],
    pub object: ObjectKey,
    pub created_at: EpochMs,
    /// `None`: it is kept until it is deleted.
    pub expires_at: Option<EpochMs>,
}

/// An artifact whose bytes are there.
#[derive(Debug, Clone)]
pub struct NewArtifact {
    pub kind: ArtifactKind,
    pub name: String,
    pub content_type: String,
    pub size: u64,
    pub sha256: [u8; 32],
    pub object: ObjectKey,
    pub expires_at: Option<EpochMs>,
}

/// What became of something that a node brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bringing {
    /// It is kept; an artifact under this key.
    Kept { key: Option<String> },
    /// The row has moved on.
    NotYours,
    /// The session has as many artifacts, or checkpoints, as it may.
    TooMany,
    /// A checkpoint, of which not every pack is there (any more).
    PacksMissing,
}

macro_rules! artifacts {
    ($rest:literal) => {
        concat!(
            "SELECT session, key, kind, name, content_type, size, sha256, object, created_at, expires_at FROM artifacts ",
            $rest
        )
    };
}

impl Artifact {
    fn from_row(row: &Row) -> Result<Artifact> {
        Ok(Artifact {
            session: row.word("session", |text| SessionId::parse(text).ok())?,
            key: row.get("key")?,
            kind: row.word("kind", ArtifactKind::parse)?,
            name: row.get("name")?,
            content_type: row.get("content_type")?,
            size: row.number("size")?,
            sha256: row.bytes("sha256")?,
            object: ObjectKey::from_row(row.get("object")?),
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

/// Whether the machine that asks ran, or runs, this generation.
pub(crate) fn is_of(session: &Session, request: &ObjectRequest) -> bool {
    session.machine.as_ref() == Some(&request.machine)
        && session.generation == request.generation
        && session.run.as_ref() == Some(&request.run)
}

impl Store {
    /// The session of which a node brings, or wants, an object; `None` when it is not the node's.
    pub async fn session_of_object(&self, request: &ObjectRequest) -> Result<Option<Session>> {
        Ok(self.session(&request.session).await?.filter(|session| is_of(session, request)))
    }

    /// Shows an artifact whose bytes are there, under a key that is unique in its session, with the event that says so. The
    /// same file brought again is kept once.
    pub async fn publish_artifact(
        &self,
        request: &ObjectRequest,
        new: &NewArtifact,
        artifacts_max: u32,
        now: EpochMs,
    ) -> Result<Bringing> {
        retry(|| self.publish_artifact_once(request, new, artifacts_max, now)).await
    }

    async fn publish_artifact_once(
        &self,
        request: &ObjectRequest,
        new: &NewArtifact,
        artifacts_max: u32,
        now: EpochMs,
    ) -> Result<Bringing> {
        let mut tx = self.begin().await?;
        let Some(session) = tx.session(&request.session).await?.filter(|session| is_of(session, request)) else {
            tx.rollback().await?;
            return Ok(Bringing::NotYours);
        };
        let (same_name, all, kept) = tx.artifacts_beside(&session.id, new).await?;
        if kept.is_some() || all >= u64::from(artifacts_max) {
            tx.rollback().await?;
            return Ok(kept.map_or(Bringing::TooMany, |key| Bringing::Kept { key: Some(key) }));
        }
        tx.keep_object(&new.object).await?;
        let key = tx.insert_artifact(&session, new, same_name, now).await?;
        let data = serde_json::json!({
            "key": key, "kind": new.kind, "size": new.size, "sha256": vitrine_model::api_key::hexadecimal(&new.sha256),
        });
        tx.announce(&session, Happening::ArtifactsUpdated, &data, now).await?;
        tx.commit().await?;
        Ok(Bringing::Kept { key: Some(key) })
    }

    /// A session's artifacts, oldest first.
    pub async fn artifacts(&self, session: &SessionId) -> Result<Vec<Artifact>> {
        const SQL: &str = artifacts!("WHERE session = $1 ORDER BY created_at, key");
        self.all(SQL, values![session.as_str()]).await?.iter().map(Artifact::from_row).collect()
    }

    /// One artifact.
    pub async fn artifact(&self, session: &SessionId, key: &str) -> Result<Option<Artifact>> {
        const SQL: &str = artifacts!("WHERE session = $1 AND key = $2");
        self.first(SQL, values![session.as_str(), key]).await?.as_ref().map(Artifact::from_row).transpose()
    }

    /// Drops the artifacts whose time is over; their objects are due then. Answers how many: when it is a full batch,
    /// there may be more.
    pub async fn drop_expired_artifacts(&self, now: EpochMs) -> Result<usize> {
        retry(|| self.drop_expired_once(now)).await
    }

    async fn drop_expired_once(&self, now: EpochMs) -> Result<usize> {
        const EXPIRED: &str =
            "SELECT session, key, object FROM artifacts WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
        let expired = self.all(EXPIRED, values![now, BATCH]).await?;
        if expired.is_empty() {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        for row in &expired {
            let (session, key): (String, String) = (row.get("session")?, row.get("key")?);
            let dropped =
                tx.run("DELETE FROM artifacts WHERE session = $1 AND key = $2", values![session, key]).await?;
            // Another server may have been first.
            if dropped == 1 {
                tx.loosen_object(&ObjectKey::from_row(row.get("object")?), now).await?;
            }
        }
        tx.commit().await?;
        Ok(expired.len())
    }
}

impl Transaction {
    /// How many artifacts have this one's name, how many there are, and the key of this very file.
    async fn artifacts_beside(&mut self, session: &SessionId, new: &NewArtifact) -> Result<(u64, u64, Option<String>)> {
        const SQL: &str = "SELECT count(*) AS total,
                count(*) FILTER (WHERE kind = $2 AND name = $3) AS same_name,
                min(CASE WHEN kind = $2 AND name = $3 AND sha256 = $4 THEN key END) AS same_file
            FROM artifacts WHERE session = $1";
        let values = values![session.as_str(), new.kind.as_str(), new.name.as_str(), &new.sha256];
        let row = self.first(SQL, values).await?.ok_or(crate::StoreError::Missing("count"))?;
        Ok((row.number("same_name")?, row.number("total")?, row.get("same_file")?))
    }

    async fn insert_artifact(
        &mut self,
        session: &Session,
        new: &NewArtifact,
        same_name: u64,
        now: EpochMs,
    ) -> Result<String> {
        const SQL: &str = "INSERT INTO artifacts
                (session, key, kind, name, content_type, size, sha256, object, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (session, key) DO NOTHING";
        // A client's own word before the keys of what its sandbox leaves behind.
        let prefix = session.sandbox().and_then(|spec| spec.artifact_prefix.as_deref()).unwrap_or_default();
        let mut number = same_name + 1;
        loop {
            let key = format!("{prefix}{}", new.kind.key(&numbered(&new.name, number)));
            let values = values![
                session.id.as_str(),
                key.as_str(),
                new.kind.as_str(),
                new.name.as_str(),
                new.content_type.as_str(),
                new.size,
                &new.sha256,
                new.object.as_str(),
                now,
                new.expires_at,
            ];
            if self.run(SQL, values).await? == 1 {
                return Ok(key);
            }
            number += 1;
        }
    }
}

/// The name of the first, second… file of a name: `a.pdf`, `a (2).pdf`.
fn numbered(name: &str, number: u64) -> String {
    match name.rsplit_once('.') {
        _ if number == 1 => name.to_owned(),
        Some((stem, extension)) if !stem.is_empty() && !extension.contains('/') => {
            format!("{stem} ({number}).{extension}")
        }
        _ => format!("{name} ({number})"),
    }
}
