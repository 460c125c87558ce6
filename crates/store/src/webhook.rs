//! Webhooks: where an organization's events go. What is sent to them is in `delivery.rs`.
//!
//! Whoever changes a webhook or the state of one of its deliveries takes the webhook's row first, so that no two wait for
//! each other and the first of a session's waiting deliveries is always known.

use crate::backend::{Row, Sql, Transaction, locking, retry, values};
use crate::{Result, Store, StoreError};
use vitrine_model::webhook::{Disabled, EventFilter, OLD_SECRET_MS, WEBHOOKS_MAX, WebhookSecret};
use vitrine_model::{EpochMs, OrganizationId, WebhookId};

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    pub organization: OrganizationId,
    pub url: String,
    pub events: EventFilter,
    pub description: String,
    pub secret: WebhookSecret,
    /// The one before; it signs too, up to then.
    pub old_secret: Option<(WebhookSecret, EpochMs)>,
    /// Why nothing is sent; `None`: it is enabled.
    pub disabled: Option<Disabled>,
    /// Attempts that failed since the last one that did not.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<EpochMs>,
    pub last_delivered_at: Option<EpochMs>,
    pub created_at: EpochMs,
}

/// What is to be different; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    pub url: Option<String>,
    pub events: Option<EventFilter>,
    pub description: Option<String>,
    /// Enabling forgives what failed; disabling abandons what waits.
    pub enabled: Option<bool>,
    /// A new secret; the one it replaces signs for [`OLD_SECRET_MS`] more.
    pub secret: Option<WebhookSecret>,
}

macro_rules! webhook_columns {
    () => {
        "SELECT id, organization, url, events, description, secret, old_secret, old_secret_until, disabled, failures, \
         failing_since, last_delivered_at, created_at FROM webhooks "
    };
}
pub(crate) use webhook_columns;

impl Webhook {
    pub(crate) fn from_row(row: &Row) -> Result<Self> {
        let old_secret = row.maybe_word("old_secret", WebhookSecret::parse)?;
        Ok(Self {
            id: row.word("id", |text| WebhookId::parse(text).ok())?,
            organization: row.word("organization", |text| OrganizationId::parse(text).ok())?,
            url: row.get("url")?,
            events: row.word("events", |text| serde_json::from_str(text).ok())?,
            description: row.get("description")?,
            secret: row.word("secret", WebhookSecret::parse)?,
            old_secret: old_secret.zip(row.get("old_secret_until")?),
            disabled: row.maybe_word("disabled", Disabled::parse)?,
            failures: row.number("failures")?,
            failing_since: row.get("failing_since")?,
            last_delivered_at: row.get("last_delivered_at")?,
            created_at: row.get("created_at")?,
        })
    }

    fn change(&mut self, change: WebhookChange, now: EpochMs) {
        self.url = change.url.unwrap_or_else(|| std::mem::take(&mut self.url));
        self.events = change.events.unwrap_or_else(|| self.events.clone());
        self.description = change.description.unwrap_or_else(|| std::mem::take(&mut self.description));
        match change.enabled {
            Some(true) => {
                self.disabled = None;
                self.failures = 0;
                self.failing_since = None;
            }
            Some(false) => self.disabled = self.disabled.or(Some(Disabled::Requested)),
            None => {}
        }
        if let Some(secret) = change.secret {
            let old = std::mem::replace(&mut self.secret, secret);
            self.old_secret = Some((old, now + OLD_SECRET_MS));
        }
    }

    /// The secrets that sign at `now`, the newest first.
    pub fn secrets(&self, now: EpochMs) -> impl Iterator<Item = &WebhookSecret> {
        let old = self.old_secret.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret);
        std::iter::once(&self.secret).chain(old)
    }
}

impl Store {
    /// Stores a webhook; events up to now are none of its business. `false`: the organization has [`WEBHOOKS_MAX`].
    pub async fn create_webhook(&self, webhook: &Webhook) -> Result<bool> {
        let after_seq = self.last_event().await?;
        retry(|| self.create_webhook_once(webhook, after_seq)).await
    }

    async fn create_webhook_once(&self, webhook: &Webhook, after_seq: i64) -> Result<bool> {
        const LOCK: Sql = locking!("SELECT id FROM organizations WHERE id = $1", "FOR NO KEY UPDATE");
        const COUNT: &str = "SELECT count(*) AS held FROM webhooks WHERE organization = $1";
        const INSERT: &str =
            "INSERT INTO webhooks (id, organization, url, events, description, secret, after_seq, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let organization = webhook.organization.as_str();
        let mut tx = self.begin().await?;
        tx.first(LOCK, values![organization]).await?.ok_or(StoreError::Missing("organization"))?;
        let row = tx.first(COUNT, values![organization]).await?.ok_or(StoreError::Missing("count"))?;
        if row.number::<u32>("held")? >= WEBHOOKS_MAX {
            tx.rollback().await?;
            return Ok(false);
        }
        let Webhook { id, url, description, secret, created_at, .. } = webhook;
        let (events, secret) = (text(&webhook.events)?, secret.reveal());
        let (url, description) = (url.as_str(), description.as_str());
        tx.run(INSERT, values![id.as_str(), organization, url, events, description, secret, after_seq, *created_at])
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// An organization's webhooks, oldest first.
    pub async fn webhooks(&self, organization: &OrganizationId) -> Result<Vec<Webhook>> {
        const SQL: &str = concat!(webhook_columns!(), "WHERE organization = $1 ORDER BY created_at, id");
        self.all(SQL, values![organization.as_str()]).await?.iter().map(Webhook::from_row).collect()
    }

    /// One webhook of an organization.
    pub async fn webhook(&self, organization: &OrganizationId, id: &WebhookId) -> Result<Option<Webhook>> {
        const SQL: &str = concat!(webhook_columns!(), "WHERE id = $1 AND organization = $2");
        let row = self.first(SQL, values![id.as_str(), organization.as_str()]).await?;
        row.as_ref().map(Webhook::from_row).transpose()
    }

    /// Changes a webhook; answers it as it is then. `None`: no such webhook.
    pub async fn change_webhook(
        &self,
        organization: &OrganizationId,
        id: &WebhookId,
        change: &WebhookChange,
        now: EpochMs,
    ) -> Result<Option<Webhook>> {
        retry(|| self.change_webhook_once(organization, id, change.clone(), now)).await
    }

    async fn change_webhook_once(
        &self,
        organization: &OrganizationId,
        id: &WebhookId,
        change: WebhookChange,
        now: EpochMs,
    ) -> Result<Option<Webhook>> {
        let mut tx = self.begin().await?;
        let webhook = tx.webhook(id).await?.filter(|webhook| webhook.organization == *organization);
        let Some(mut webhook) = webhook else {
            tx.rollback().await?;
            return Ok(None);
        };
        webhook.change(change, now);
        tx.save_webhook(&webhook).await?;
        tx.commit().await?;
        Ok(Some(webhook))
    }

    /// Deletes a webhook with all its deliveries. `false`: no such webhook.
    pub async fn delete_webhook(&self, organization: &OrganizationId, id: &WebhookId) -> Result<bool> {
        const SQL: &str = "DELETE FROM webhooks WHERE id = $1 AND organization = $2";
        Ok(self.run(SQL, values![id.as_str(), organization.as_str()]).await? == 1)
    }
}

impl Transaction {
    /// A webhook that nobody else can change until this transaction is over.
    pub(crate) async fn webhook(&mut self, id: &WebhookId) -> Result<Option<Webhook>> {
        const SQL: Sql = locking!(concat!(webhook_columns!(), "WHERE id = $1"), "FOR NO KEY UPDATE");
        self.first(SQL, values![id.as_str()]).await?.as_ref().map(Webhook::from_row).transpose()
    }

    /// Writes what can change; what waits for a disabled one is abandoned.
    pub(crate) async fn save_webhook(&mut self, webhook: &Webhook) -> Result<()> {
        const SAVE: &str = "UPDATE webhooks SET url = $2, events = $3, description = $4, secret = $5, old_secret = $6,
            old_secret_until = $7, disabled = $8, failures = $9, failing_since = $10, last_delivered_at = $11 WHERE id = $1";
        const ABANDON: &str = "UPDATE webhook_deliveries SET state = 'abandoned', next_at = NULL
            WHERE webhook = $1 AND state = 'waiting'";
        let old = webhook.old_secret.as_ref();
        self.run(
            SAVE,
            values![
                webhook.id.as_str(),
                webhook.url.as_str(),
                text(&webhook.events)?,
                webhook.description.as_str(),
                webhook.secret.reveal(),
                old.map(|(secret, _)| secret.reveal()).as_deref(),
                old.map(|(_, until)| *until),
                webhook.disabled.map(Disabled::as_str),
                webhook.failures,
                webhook.failing_since,
                webhook.last_delivered_at,
            ],
        )
        .await?;
        if webhook.disabled.is_some() {
            self.run(ABANDON, values![webhook.id.as_str()]).await?;
        }
        Ok(())
    }
}

fn text(events: &EventFilter) -> Result<String> {
    serde_json::to_string(events).map_err(|error| StoreError::Encode("events", error))
}
