//! What is sent to webhooks: deliveries, made of the outbox's events, and their attempts.
//!
//! It promises that every event reaches every webhook that wants it at least once or is seen to have failed, and that a
//! session's events reach one webhook one after the other: of those that wait, only the first can be claimed, which the
//! schema demands. A claim is for a time; when it is over without a word, somebody else may claim it.

use crate::backend::{Row, Sql, Transaction, locking, retry, values};
use crate::webhook::webhook_columns;
use crate::{Result, Store, StoreError, Webhook};
use std::collections::BTreeMap;
use vitrine_model::webhook::{DeliveryState, Disabled, EventFilter, KEPT_MS, TRY_FOR_MS};
use vitrine_model::{EpochMs, EventId, SessionId, WebhookId};

/// Events that one transaction turns into deliveries: on SQLite nobody else writes meanwhile.
const EVENTS_AT_ONCE: u32 = 200;

/// A delivery that is this caller's to try.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    pub webhook: WebhookId,
    pub event: EventId,
    pub session: SessionId,
    pub name: String,
    /// When it happened.
    pub at: EpochMs,
    pub data: serde_json::Value,
    /// Counts from 1.
    pub attempt: u32,
    /// When the first attempt became possible.
    pub created_at: EpochMs,
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub number: u32,
    pub at: EpochMs,
    pub duration_ms: u64,
    /// The receiver's; `None` when it did not answer.
    pub status: Option<u16>,
    pub error: Option<String>,
    /// How the answer's body begins.
    pub response: Option<String>,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// Again then, unless the day is over.
    Retry {
        at: EpochMs,
    },
    /// The receiver wants nothing any more.
    Gone,
}

/// A delivery with its attempts, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub event: EventId,
    /// None for a test.
    pub session: Option<SessionId>,
    pub name: String,
    pub state: DeliveryState,
    pub created_at: EpochMs,
    /// `None` also while an earlier event of its session waits.
    pub next_at: Option<EpochMs>,
    pub attempts: Vec<Attempt>,
}

/// A webhook as far as it decides what to do with an event.
struct Wanting {
    id: WebhookId,
    events: EventFilter,
    after_seq: i64,
}

impl Store {
    /// Turns events into deliveries, a bounded number at once; whether there are more.
    pub async fn derive_deliveries(&self, now: EpochMs) -> Result<bool> {
        let row = self.first("SELECT seq FROM webhook_position WHERE id = 1", &[]).await?;
        let seq = row.ok_or(StoreError::Missing("position of webhooks"))?.get("seq")?;
        // Most looks find nothing, and then nobody is kept from writing.
        if self.events_after(seq, 1).await?.is_empty() {
            return Ok(false);
        }
        retry(|| self.derive_deliveries_once(now)).await
    }

    async fn derive_deliveries_once(&self, now: EpochMs) -> Result<bool> {
        const POSITION: Sql = locking!("SELECT seq FROM webhook_position WHERE id = 1", "FOR NO KEY UPDATE");
        const EVENTS: &str =
            "SELECT seq, id, organization, session, name FROM events WHERE seq > $1 ORDER BY seq LIMIT $2";
        const INSERT: &str =
            "INSERT INTO webhook_deliveries (webhook, event, seq, session, name, state, created_at, next_at)
            VALUES ($1, $2, $3, $4, $5, 'waiting', $6, CASE WHEN EXISTS (
                SELECT 1 FROM webhook_deliveries WHERE webhook = $1 AND session = $4 AND state = 'waiting'
            ) THEN NULL ELSE $6 END)";
        let mut tx = self.begin().await?;
        let row = tx.first(POSITION, &[]).await?.ok_or(StoreError::Missing("position of webhooks"))?;
        let events = tx.all(EVENTS, values![row.get::<i64>("seq")?, EVENTS_AT_ONCE]).await?;
        let wanting = tx.wanting(&events).await?;
        let mut last = None;
        for event in &events {
            let seq: i64 = event.get("seq")?;
            last = Some(seq);
            let (name, organization): (String, String) = (event.get("name")?, event.get("organization")?);
            let (id, session): (String, String) = (event.get("id")?, event.get("session")?);
            let wanting = wanting.get(&organization).map(Vec::as_slice).unwrap_or_default();
            for webhook in wanting.iter().filter(|webhook| webhook.after_seq < seq && webhook.events.wants(&name)) {
                let values = values![webhook.id.as_str(), id.as_str(), seq, session.as_str(), name.as_str(), now];
                tx.run(INSERT, values).await?;
            }
        }
        if let Some(seq) = last {
            tx.run("UPDATE webhook_position SET seq = $1 WHERE id = 1", values![seq]).await?;
        }
        tx.commit().await?;
        Ok(events.len() == EVENTS_AT_ONCE as usize)
    }

    /// The enabled webhooks for which something is to be sent now.
    pub async fn webhooks_due(&self, now: EpochMs) -> Result<Vec<Webhook>> {
        const SQL: &str = concat!(
            webhook_columns!(),
            "WHERE disabled IS NULL AND EXISTS (
                 SELECT 1 FROM webhook_deliveries d WHERE d.webhook = webhooks.id AND d.next_at <= $1
             ) ORDER BY id"
        );
        self.all(SQL, values![now]).await?.iter().map(Webhook::from_row).collect()
    }

    /// Claims what is to be sent to a webhook now, what has waited longest first. Until `until` nobody else does.
    pub async fn claim_deliveries(
        &self,
        webhook: &WebhookId,
        limit: u32,
        now: EpochMs,
        until: EpochMs,
    ) -> Result<Vec<Claimed>> {
        const DUE: Sql = locking!(
            "SELECT d.event, d.session, d.name, d.tries, d.created_at, e.at, e.data
             FROM webhook_deliveries d JOIN events e ON e.seq = d.seq
             WHERE d.webhook = $1 AND d.next_at <= $2 ORDER BY d.next_at, d.seq LIMIT $3",
            "FOR NO KEY UPDATE OF d SKIP LOCKED"
        );
        const CLAIM: &str =
            "UPDATE webhook_deliveries SET tries = tries + 1, next_at = $3 WHERE webhook = $1 AND event = $2";
        let mut tx = self.begin().await?;
        let mut claimed = Vec::new();
        for row in tx.all(DUE, values![webhook.as_str(), now, limit]).await? {
            let delivery = Claimed::from_row(webhook, &row)?;
            tx.run(CLAIM, values![webhook.as_str(), delivery.event.as_str(), until]).await?;
            claimed.push(delivery);
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Writes down what an attempt came to. A claim that was over by then changes nothing else. Answers why the webhook is
    /// disabled, if it is since now.
    pub async fn settle_delivery(
        &self,
        claimed: &Claimed,
        attempt: &Attempt,
        verdict: Verdict,
        now: EpochMs,
    ) -> Result<Option<Disabled>> {
        retry(|| self.settle_delivery_once(claimed, attempt, verdict, now)).await
    }

    async fn settle_delivery_once(
        &self,
        claimed: &Claimed,
        attempt: &Attempt,
        verdict: Verdict,
        now: EpochMs,
    ) -> Result<Option<Disabled>> {
        let mut tx = self.begin().await?;
        let Some(mut webhook) = tx.webhook(&claimed.webhook).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        tx.keep_attempt(&claimed.webhook, &claimed.event, attempt).await?;
        let mut disabled = None;
        if tx.settle(claimed, verdict).await? && webhook.disabled.is_none() {
            webhook.learn(verdict, now);
            disabled = webhook.disabled;
            tx.save_webhook(&webhook).await?;
        }
        tx.commit().await?;
        Ok(disabled)
    }

    /// Keeps a test and its only attempt.
    pub async fn keep_test(&self, webhook: &WebhookId, event: &EventId, name: &str, attempt: &Attempt) -> Result<()> {
        const INSERT: &str = "INSERT INTO webhook_deliveries (webhook, event, name, state, created_at, tries)
            VALUES ($1, $2, $3, $4, $5, 1)";
        let state = if attempt.error.is_none() { DeliveryState::Delivered } else { DeliveryState::Failed };
        let mut tx = self.begin().await?;
        if tx.webhook(webhook).await?.is_none() {
            return tx.rollback().await;
        }
        tx.run(INSERT, values![webhook.as_str(), event.as_str(), name, state.as_str(), attempt.at]).await?;
        tx.keep_attempt(webhook, event, attempt).await?;
        tx.commit().await
    }

    /// A webhook's deliveries, newest first.
    pub async fn deliveries(&self, webhook: &WebhookId, limit: u32) -> Result<Vec<Delivery>> {
        const DELIVERIES: &str = "SELECT event, session, name, state, created_at, next_at FROM webhook_deliveries
            WHERE webhook = $1 ORDER BY created_at DESC, coalesce(seq, 0) DESC, event DESC LIMIT $2";
        const ATTEMPTS: &str = "SELECT number, at, duration_ms, status, error, response FROM webhook_attempts
            WHERE webhook = $1 AND event = $2 ORDER BY number";
        let mut deliveries = Vec::new();
        for row in self.all(DELIVERIES, values![webhook.as_str(), limit]).await? {
            let mut delivery = Delivery::from_row(&row)?;
            let attempts = self.all(ATTEMPTS, values![webhook.as_str(), delivery.event.as_str()]).await?;
            delivery.attempts = attempts.iter().map(Attempt::from_row).collect::<Result<_>>()?;
            deliveries.push(delivery);
        }
        Ok(deliveries)
    }

    /// Deletes what was settled long ago.
    pub(crate) async fn delete_old_deliveries(&self, now: EpochMs) -> Result<()> {
        const SQL: &str = "DELETE FROM webhook_deliveries WHERE created_at < $1 AND state <> 'waiting'";
        self.run(SQL, values![now - KEPT_MS]).await?;
        Ok(())
    }
}

impl Transaction {
    /// The enabled webhooks of these events' organizations, which nobody else changes until this transaction is over.
    async fn wanting(&mut self, events: &[Row]) -> Result<BTreeMap<String, Vec<Wanting>>> {
        const SQL: Sql = locking!(
            "SELECT id, events, after_seq FROM webhooks WHERE organization = $1 AND disabled IS NULL ORDER BY id",
            "FOR NO KEY UPDATE"
        );
        let mut found = BTreeMap::new();
        for event in events {
            found.insert(event.get::<String>("organization")?, Vec::new());
        }
        for (organization, webhooks) in &mut found {
            let rows = self.all(SQL, values![organization.as_str()]).await?;
            *webhooks = rows.iter().map(Wanting::from_row).collect::<Result<_>>()?;
        }
        Ok(found)
    }

    async fn keep_attempt(&mut self, webhook: &WebhookId, event: &EventId, attempt: &Attempt) -> Result<()> {
        const SQL: &str =
            "INSERT INTO webhook_attempts (webhook, event, number, at, duration_ms, status, error, response)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let Attempt { number, at, duration_ms, status, error, response } = attempt;
        let status = status.map(i64::from);
        let (error, response) = (error.as_deref(), response.as_deref());
        let (webhook, event) = (webhook.as_str(), event.as_str());
        self.run(SQL, values![webhook, event, *number, *at, *duration_ms, status, error, response]).await?;
        Ok(())
    }

    /// Moves a claimed delivery on, and with it the next of its session; `false` when the claim was over.
    async fn settle(&mut self, claimed: &Claimed, verdict: Verdict) -> Result<bool> {
        const SETTLE: &str = "UPDATE webhook_deliveries SET state = $4, next_at = $5
            WHERE webhook = $1 AND event = $2 AND tries = $3 AND state = 'waiting'";
        const NEXT: &str = "UPDATE webhook_deliveries SET next_at = created_at WHERE webhook = $1 AND seq = (
            SELECT min(seq) FROM webhook_deliveries WHERE webhook = $1 AND session = $2 AND state = 'waiting')";
        let (state, next_at) = match verdict {
            Verdict::Delivered => (DeliveryState::Delivered, None),
            Verdict::Retry { at } if at <= claimed.created_at + TRY_FOR_MS => (DeliveryState::Waiting, Some(at)),
            Verdict::Retry { .. } | Verdict::Gone => (DeliveryState::Failed, None),
        };
        let (webhook, session) = (claimed.webhook.as_str(), claimed.session.as_str());
        let values = values![webhook, claimed.event.as_str(), claimed.attempt, state.as_str(), next_at];
        let moved = self.run(SETTLE, values).await? == 1;
        if moved && next_at.is_none() {
            self.run(NEXT, values![webhook, session]).await?;
        }
        Ok(moved)
    }
}

impl Webhook {
    /// What an attempt says about the receiver.
    fn learn(&mut self, verdict: Verdict, now: EpochMs) {
        if verdict == Verdict::Delivered {
            self.failures = 0;
            self.failing_since = None;
            self.last_delivered_at = Some(now);
            return;
        }
        let since = *self.failing_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        self.disabled = match verdict {
            Verdict::Gone => Some(Disabled::Gone),
            _ => (now - since >= TRY_FOR_MS).then_some(Disabled::Failing),
        };
    }
}

impl Wanting {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.word("id", |text| WebhookId::parse(text).ok())?,
            events: row.word("events", |text| serde_json::from_str(text).ok())?,
            after_seq: row.get("after_seq")?,
        })
    }
}

impl Claimed {
    fn from_row(webhook: &WebhookId, row: &Row) -> Result<Self> {
        Ok(Self {
            webhook: webhook.clone(),
            event: row.word("event", |text| EventId::parse(text).ok())?,
            session: row.word("session", |text| SessionId::parse(text).ok())?,
            name: row.get("name")?,
            at: row.get("at")?,
            data: row.word("data", |text| serde_json::from_str(text).ok())?,
            attempt: row.number::<u32>("tries")?.saturating_add(1),
            created_at: row.get("created_at")?,
        })
    }
}

impl Delivery {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            event: row.word("event", |text| EventId::parse(text).ok())?,
            session: row.maybe_word("session", |text| SessionId::parse(text).ok())?,
            name: row.get("name")?,
            state: row.word("state", DeliveryState::parse)?,
            created_at: row.get("created_at")?,
            next_at: row.get("next_at")?,
            attempts: Vec::new(),
        })
    }
}

impl Attempt {
    fn from_row(row: &Row) -> Result<Self> {
        let status: Option<i64> = row.get("status")?;
        Ok(Self {
            number: row.number("number")?,
            at: row.get("at")?,
            duration_ms: row.number("duration_ms")?,
            status: status.and_then(|status| u16::try_from(status).ok()),
            error: row.get("error")?,
            response: row.get("response")?,
        })
    }
}
