//! The ledger of minutes: what an organization was granted or bought, what its sessions hold, and what they spent.
//!
//! Double entry, kept by the schema: a movement makes its pair of entries, entries make the totals, which never fall below
//! zero. The row of a paid session makes its hold; the move that ends it settles the hold first, and the schema refuses one
//! that did not. So whatever way a session ends, and wherever a crash falls, it is paid once.

use crate::backend::{Row, Transaction, retry, values};
use crate::{Result, Session, Store, StoreError};
use vitrine_model::embed::minutes::refund;
use vitrine_model::{EndReason, EpochMs, MinutesKind, OrderId, OrganizationId, SessionId, Transition};

/// What an organization has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// It can make sessions of these.
    pub balance_minutes: i64,
    /// Its sessions hold these.
    pub reserved_minutes: i64,
    /// Ever granted or bought.
    pub lifetime_minutes: i64,
    /// Embed sessions that are not ending, visitors' too.
    pub active_sessions: i64,
}

/// One movement between the accounts of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub kind: MinutesKind,
    pub minutes: u32,
    /// Of a hold, of what was spent, of a refund.
    pub session: Option<SessionId>,
    /// Of a purchase.
    pub order: Option<OrderId>,
    /// Who granted it and why.
    pub note: Option<String>,
    pub at: EpochMs,
}

/// An embed session that was asked to end, and what that gave back.
#[derive(Debug, Clone)]
pub struct Ended {
    pub refunded_minutes: u32,
    pub session: Session,
}

impl Store {
    /// Gives an organization minutes, at least one. `note` says who did and why.
    pub async fn grant_minutes(
        &self,
        organization: &OrganizationId,
        minutes: u32,
        note: &str,
        now: EpochMs,
    ) -> Result<Balance> {
        retry(|| self.grant_minutes_once(organization, minutes, note, now)).await
    }

    async fn grant_minutes_once(
        &self,
        organization: &OrganizationId,
        minutes: u32,
        note: &str,
        now: EpochMs,
    ) -> Result<Balance> {
        const SQL: &str = "INSERT INTO minute_movements (organization, kind, minutes, note, at)
            SELECT id, 'grant', $2, $3, $4 FROM organizations WHERE id = $1";
        let mut tx = self.begin_durable().await?;
        if tx.run(SQL, values![organization.as_str(), minutes, note, now]).await? == 0 {
            tx.rollback().await?;
            return Err(StoreError::Missing("organization"));
        }
        tx.commit().await?;
        self.minutes(organization).await
    }

    /// What an organization has.
    pub async fn minutes(&self, organization: &OrganizationId) -> Result<Balance> {
        const SQL: &str = "SELECT issued, available, held,
                (SELECT count(*) FROM sessions WHERE organization = t.organization AND kind = 'browser'
                     AND status NOT IN ('ended', 'failed') AND status <> 'ending' AND minutes IS NOT NULL) AS active
            FROM minute_totals t WHERE organization = $1";
        let row = self.first(SQL, values![organization.as_str()]).await?.ok_or(StoreError::Missing("organization"))?;
        Ok(Balance {
            balance_minutes: row.get("available")?,
            reserved_minutes: row.get("held")?,
            lifetime_minutes: -row.get::<i64>("issued")?,
            active_sessions: row.get("active")?,
        })
    }

    /// An organization's movements, newest first.
    pub async fn minute_movements(&self, organization: &OrganizationId, limit: u32) -> Result<Vec<Movement>> {
        const SQL: &str = "SELECT kind, minutes, session, order_id, note, at FROM minute_movements
            WHERE organization = $1 ORDER BY id DESC LIMIT $2";
        self.all(SQL, values![organization.as_str(), limit]).await?.iter().map(Movement::from_row).collect()
    }

    /// Ends an embed session, as DELETE does, and says what that gave back: the same every time, also when it ended
    /// otherwise before. `None`: no such embed session of the organization.
    pub async fn end_embed_session(
        &self,
        organization: &OrganizationId,
        session: &SessionId,
        now: EpochMs,
    ) -> Result<Option<Ended>> {
        retry(|| self.end_embed_session_once(organization, session, now)).await
    }

    async fn end_embed_session_once(
        &self,
        organization: &OrganizationId,
        id: &SessionId,
        now: EpochMs,
    ) -> Result<Option<Ended>> {
        let mut tx = self.begin_durable().await?;
        let found =
            tx.session(id).await?.filter(|found| found.organization == *organization && found.embed().is_some());
        let Some(mut session) = found else {
            tx.rollback().await?;
            return Ok(None);
        };
        if session.status.on(Transition::End).is_ok() {
            tx.end(&mut session, EndReason::Deleted, now).await?;
        }
        const REFUNDED: &str = "SELECT refunded FROM minute_holds WHERE session = $1";
        let refunded_minutes = match tx.first(REFUNDED, values![id.as_str()]).await? {
            Some(row) => row.number("refunded")?,
            // Nobody paid.
            None => 0,
        };
        tx.commit().await?;
        Ok(Some(Ended { refunded_minutes, session }))
    }
}

impl Movement {
    fn from_row(row: &Row) -> Result<Movement> {
        Ok(Movement {
            kind: row.word("kind", MinutesKind::parse)?,
            minutes: row.number("minutes")?,
            session: row.maybe_word("session", |text| SessionId::parse(text).ok())?,
            order: row.maybe_word("order_id", |text| OrderId::parse(text).ok())?,
            note: row.get("note")?,
            at: row.get("at")?,
        })
    }
}

impl Transaction {
    /// Gives back what a session held and did not use. It has just been moved to where it ends.
    pub(crate) async fn settle_minutes(&mut self, session: &Session) -> Result<()> {
        const SQL: &str = "UPDATE minute_holds SET settled_at = $2, refunded = $3 WHERE session = $1";
        let (held, Some(reason)) = (session.paid_minutes(), session.end_reason) else { return Ok(()) };
        if held > 0 {
            let refunded = refund(held, reason, session.started_at, session.updated_at);
            self.run(SQL, values![session.id.as_str(), session.updated_at, refunded]).await?;
        }
        Ok(())
    }
}
