//! Visitors' browsers: which session belongs to which visitor. A visitor has one at a time, an address a few in a while.
//! Visitor and address come as keyed hashes; both are forgotten after a day.

use crate::backend::{Transaction, retry, values};
use crate::session::session_columns;
use crate::{CreateLimits, NewSession, Refused, Result, Session, Store};
use vitrine_model::{EpochMs, SessionId};

/// How long a visit is remembered, in milliseconds: a day. An address's limit can look back no further.
pub const DEMO_VISITS_KEPT_MS: EpochMs = 86_400_000;

/// Who visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoVisitor {
    /// Hash of the cookie.
    pub visitor: [u8; 32],
    /// Hash of the address.
    pub address: [u8; 32],
}

/// What an address may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoLimits {
    /// Sessions in a window, at least one.
    pub per_address: u32,
    pub window_ms: EpochMs,
}

/// A visitor's session that is not ending.
#[derive(Debug, Clone)]
pub struct DemoVisit {
    pub session: Session,
    /// Since when the visitor is away; it ends unless the visitor comes back.
    pub disconnected_at: Option<EpochMs>,
}

/// What a visitor was given.
#[derive(Debug, Clone)]
pub struct DemoMade {
    pub session: Session,
    /// Otherwise it is the one that the visitor had.
    pub is_new: bool,
}

/// Why a visitor was given none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoRefused {
    Limit(Refused),
    /// The address had its share; again after this time.
    Address {
        wait_ms: EpochMs,
    },
}

/// A visitor's session that is not ending; the visitor is `$1`.
macro_rules! open_visit {
    () => {
        concat!(
            "SELECT ",
            session_columns!(),
            ", v.disconnected_at FROM demo_visits v JOIN sessions s ON s.id = v.session
              WHERE v.visitor = $1 AND s.status NOT IN ('ending', 'ended', 'failed')
              ORDER BY v.created_at DESC LIMIT 1"
        )
    };
}

impl Store {
    /// A visitor's session that is not ending.
    pub async fn demo_session(&self, visitor: &[u8; 32]) -> Result<Option<DemoVisit>> {
        let Some(row) = self.first(open_visit!(), values![visitor]).await? else { return Ok(None) };
        Ok(Some(DemoVisit { session: Session::from_row(&row)?, disconnected_at: row.get("disconnected_at")? }))
    }

    /// Makes a visitor's session, unless there is one: then the visitor is back in that.
    pub async fn create_demo_session(
        &self,
        new: &NewSession,
        limits: CreateLimits,
        visitor: &DemoVisitor,
        demo: DemoLimits,
        now: EpochMs,
    ) -> Result<std::result::Result<DemoMade, DemoRefused>> {
        retry(|| self.create_demo_session_once(new, limits, visitor, demo, now)).await
    }

    async fn create_demo_session_once(
        &self,
        new: &NewSession,
        limits: CreateLimits,
        visitor: &DemoVisitor,
        demo: DemoLimits,
        now: EpochMs,
    ) -> Result<std::result::Result<DemoMade, DemoRefused>> {
        const BACK: &str = "UPDATE demo_visits SET disconnected_at = NULL WHERE session = $1";
        let mut tx = self.begin().await?;
        // All visitors' sessions belong to one organization: what is read next is still true when the rows are written.
        tx.lock_organization(&new.organization).await?;
        if let Some(row) = tx.first(open_visit!(), values![&visitor.visitor]).await? {
            let session = Session::from_row(&row)?;
            tx.run(BACK, values![session.id.as_str()]).await?;
            tx.commit().await?;
            return Ok(Ok(DemoMade { session, is_new: false }));
        }
        let session = new.queued(now);
        let refused = match tx.address_wait(visitor, demo, now).await? {
            Some(wait_ms) => Some(DemoRefused::Address { wait_ms }),
            None => tx.refused(&session, limits, now).await?.map(DemoRefused::Limit),
        };
        if let Some(refused) = refused {
            tx.rollback().await?;
            return Ok(Err(refused));
        }
        tx.insert_session(&session).await?;
        const VISIT: &str = "INSERT INTO demo_visits (session, visitor, address, created_at) VALUES ($1, $2, $3, $4)";
        tx.run(VISIT, values![session.id.as_str(), &visitor.visitor, &visitor.address, now]).await?;
        tx.commit().await?;
        Ok(Ok(DemoMade { session, is_new: true }))
    }

    /// The visitor left: all that is open of theirs, or one session of theirs, ends unless they come back. Answers how many.
    pub async fn mark_demo_disconnected(
        &self,
        visitor: &[u8; 32],
        session: Option<&SessionId>,
        now: EpochMs,
    ) -> Result<u64> {
        // Whoever leaves twice left the first time.
        const SQL: &str = "UPDATE demo_visits SET disconnected_at = coalesce(disconnected_at, $3)
            WHERE visitor = $1 AND session = coalesce($2, session) AND EXISTS (
                SELECT 1 FROM sessions s WHERE s.id = demo_visits.session AND s.status NOT IN ('ending', 'ended', 'failed'))";
        self.run(SQL, values![visitor, session.map(SessionId::as_str), now]).await
    }

    /// The visitor is back.
    pub async fn demo_returned(&self, visitor: &[u8; 32]) -> Result<()> {
        const SQL: &str =
            "UPDATE demo_visits SET disconnected_at = NULL WHERE visitor = $1 AND disconnected_at IS NOT NULL";
        self.run(SQL, values![visitor]).await?;
        Ok(())
    }

    /// Somebody is in the session: its visitor did not leave with every page.
    pub async fn demo_session_returned(&self, session: &SessionId) -> Result<()> {
        const SQL: &str =
            "UPDATE demo_visits SET disconnected_at = NULL WHERE session = $1 AND disconnected_at IS NOT NULL";
        self.run(SQL, values![session.as_str()]).await?;
        Ok(())
    }

    /// Sessions that are not ending and whose visitors left before then and did not come back, longest first.
    pub async fn overdue_demos(&self, before: EpochMs, limit: u32) -> Result<Vec<SessionId>> {
        const SQL: &str = "SELECT v.session FROM demo_visits v JOIN sessions s ON s.id = v.session
            WHERE v.disconnected_at < $1 AND v.disconnected_at IS NOT NULL
              AND s.status NOT IN ('ending', 'ended', 'failed')
            ORDER BY v.disconnected_at LIMIT $2";
        let rows = self.all(SQL, values![before, limit]).await?;
        rows.iter().map(|row| row.word("session", |text| SessionId::parse(text).ok())).collect()
    }

    /// Forgets who visited when.
    pub(crate) async fn delete_old_visits(&self, now: EpochMs) -> Result<()> {
        const SQL: &str = "DELETE FROM demo_visits WHERE created_at < $1";
        self.run(SQL, values![now - DEMO_VISITS_KEPT_MS]).await?;
        Ok(())
    }
}

impl Transaction {
    /// How long an address has to wait for its next session; `None`: not at all.
    async fn address_wait(
        &mut self,
        visitor: &DemoVisitor,
        limits: DemoLimits,
        now: EpochMs,
    ) -> Result<Option<EpochMs>> {
        const SQL: &str = "SELECT created_at FROM demo_visits WHERE address = $1 AND created_at > $2
            ORDER BY created_at DESC LIMIT 1 OFFSET $3";
        let values = values![&visitor.address, now - limits.window_ms, limits.per_address.saturating_sub(1)];
        let Some(row) = self.first(SQL, values).await? else { return Ok(None) };
        // A clock that was set back keeps nobody out for longer than a window.
        let free_at = row.get::<EpochMs>("created_at")?.saturating_add(limits.window_ms);
        Ok(Some((free_at - now).clamp(1, limits.window_ms.max(1))))
    }
}
