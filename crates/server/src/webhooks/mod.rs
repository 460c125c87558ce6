//! Sends what the outbox holds to the organizations' webhooks, until it is told to stop.
//!
//! Several servers may do so at once. A receiver that is slow or dead holds few of the places, so that it delays nobody;
//! what was under way when a server died is tried again once its claim is over.

mod guard;
mod message;
mod send;

pub use guard::{URL_BYTES_MAX, WrongTarget, check_target};
pub use message::Message;
pub use send::{Outcome, Sender};

use crate::app::App;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use vitrine_model::webhook::PAUSES_MS;
use vitrine_model::{EpochMs, OrganizationId, WebhookId};
use vitrine_store::{Claimed, StoreError, Verdict, Webhook};

/// How often it is looked whether something is due: retries, and events that other servers wrote.
const TICK: Duration = Duration::from_secs(1);
/// Attempts under way in one process.
const SENDING_MAX: usize = 128;
/// Of them, to one organization's webhooks.
const OF_ORGANIZATION_MAX: usize = 16;
/// Of them, to one webhook.
const OF_WEBHOOK_MAX: usize = 4;
/// To one whose last attempt failed.
const OF_FAILING_MAX: usize = 1;
/// How much longer than an attempt may take a claim holds: for writing down what it came to.
const CLAIM_MARGIN_MS: u64 = 20_000;
/// How long attempts may finish when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// Pauses are longer or shorter by up to this part, so that what failed together does not come back together.
const JITTER_PERCENT: u64 = 20;

/// What an operator may set about webhooks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Targets may be private addresses, and plain http.
    pub allow_private: bool,
    /// How long a receiver may take to answer.
    pub timeout_ms: u64,
    /// Pauses after the first, second… failed attempt; the last one repeats.
    pub pauses_ms: Vec<u64>,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self { allow_private: false, timeout_ms: 10_000, pauses_ms: PAUSES_MS.to_vec() }
    }
}

/// The attempts under way.
#[derive(Default)]
struct Sending {
    tasks: JoinSet<()>,
    whose: HashMap<Id, (WebhookId, OrganizationId)>,
}

/// Derives and delivers until `shutdown`.
pub async fn deliver(app: App, shutdown: CancellationToken) {
    let mut sending = Sending::default();
    let mut derive = true;
    loop {
        if let Err(error) = look(&app, &mut sending, derive).await {
            tracing::warn!(reconciler = "webhooks", "could not {error}");
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(TICK) => continue,
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = app.webhooks.notified() => derive = true,
            () = tokio::time::sleep(TICK) => derive = true,
            () = sending.one_is_done() => derive = false,
        }
    }
    // What does not finish now is tried again when its claim is over.
    let _ = tokio::time::timeout(STOP_GRACE, async { while sending.tasks.join_next().await.is_some() {} }).await;
    sending.tasks.shutdown().await;
}

async fn look(app: &App, sending: &mut Sending, derive: bool) -> Result<(), StoreError> {
    let now = app.clock.now();
    while derive && app.store.derive_deliveries(now).await? {}
    for webhook in app.store.webhooks_due(now).await? {
        let room = sending.room(&webhook);
        if room == 0 {
            continue;
        }
        let until = now.saturating_add_unsigned(app.config.webhooks.timeout_ms + CLAIM_MARGIN_MS);
        for claimed in app.store.claim_deliveries(&webhook.id, room, now, until).await? {
            sending.start(app.clone(), webhook.clone(), claimed);
        }
    }
    Ok(())
}

impl Sending {
    /// How many more attempts may be made to this webhook now.
    fn room(&self, webhook: &Webhook) -> u32 {
        let count = |ours: &dyn Fn(&(WebhookId, OrganizationId)) -> bool| {
            self.whose.values().filter(|whose| ours(whose)).count()
        };
        let own_max = if webhook.failures > 0 { OF_FAILING_MAX } else { OF_WEBHOOK_MAX };
        let own = own_max.saturating_sub(count(&|(id, _)| *id == webhook.id));
        let organization = OF_ORGANIZATION_MAX.saturating_sub(count(&|(_, whose)| *whose == webhook.organization));
        let all = SENDING_MAX.saturating_sub(self.whose.len());
        own.min(organization).min(all) as u32
    }

    fn start(&mut self, app: App, webhook: Webhook, claimed: Claimed) {
        let whose = (webhook.id.clone(), webhook.organization.clone());
        let task = self.tasks.spawn(async move {
            if let Err(error) = attempt(&app, &webhook, &claimed).await {
                tracing::warn!(webhook = %webhook.id, "could not {error}; the message is sent again");
            }
        });
        self.whose.insert(task.id(), whose);
    }

    /// Returns when an attempt is over; never while there is none.
    async fn one_is_done(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return std::future::pending().await,
        };
        self.whose.remove(&id);
    }
}

/// Sends one message and writes down what became of it.
async fn attempt(app: &App, webhook: &Webhook, claimed: &Claimed) -> Result<(), StoreError> {
    let message = Message::of(claimed);
    let outcome = app.sender.send(webhook, &message, app.clock.now()).await;
    let now = app.clock.now();
    let verdict = match outcome.status {
        _ if outcome.is_delivered() => Verdict::Delivered,
        Some(410) => Verdict::Gone,
        _ => Verdict::Retry { at: retry_at(app, claimed.attempt, now) },
    };
    tracing::debug!(webhook = %webhook.id, event = %claimed.event, status = outcome.status, ?verdict, "webhook sent");
    if let Some(reason) = app.store.settle_delivery(claimed, &outcome.attempt(claimed.attempt), verdict, now).await? {
        tracing::warn!(webhook = %webhook.id, reason = reason.as_str(), "webhook disabled: its receiver takes nothing");
    }
    Ok(())
}

fn retry_at(app: &App, attempt: u32, now: EpochMs) -> EpochMs {
    let pauses = &app.config.webhooks.pauses_ms;
    let index = (attempt.max(1) - 1) as usize;
    let pause_ms = pauses.get(index).or(pauses.last()).copied().unwrap_or_default();
    let mut random = [0];
    app.entropy.fill(&mut random);
    // 0 to 2 * JITTER_PERCENT, on top of what is left without the jitter.
    let jitter_percent = u64::from(random[0]) * 2 * JITTER_PERCENT / u64::from(u8::MAX);
    now.saturating_add_unsigned(pause_ms * (100 - JITTER_PERCENT + jitter_percent) / 100)
}
