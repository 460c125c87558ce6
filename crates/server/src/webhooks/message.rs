//! What is sent: the event as JSON, and the headers that sign it.

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use vitrine_model::webhook::TEST_EVENT;
use vitrine_model::{EpochMs, EventId};
use vitrine_store::{Claimed, Webhook};

/// Headers of the Standard Webhooks specification.
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// One message; the same on every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: EventId,
    pub body: Vec<u8>,
}

impl Message {
    /// The message of an event: the outbox's data, and whose they are.
    pub fn of(claimed: &Claimed) -> Self {
        let mut data = claimed.data.clone();
        if let Value::Object(fields) = &mut data {
            fields.insert("eventId".to_owned(), json!(claimed.event));
            fields.insert("sessionId".to_owned(), json!(claimed.session));
        }
        Self::new(&claimed.event, &claimed.name, claimed.at, data)
    }

    /// The message that tries a webhook.
    pub fn test(id: &EventId, webhook: &Webhook, now: EpochMs) -> Self {
        Self::new(id, TEST_EVENT, now, json!({ "eventId": id, "webhookId": webhook.id }))
    }

    fn new(id: &EventId, name: &str, at: EpochMs, data: Value) -> Self {
        let timestamp = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
        let body = json!({ "type": name, "timestamp": format!("{timestamp:.3}"), "data": data });
        Self { id: id.clone(), body: body.to_string().into_bytes() }
    }

    /// Identifies and signs an attempt at `now`, with every secret that is still good.
    pub fn headers(&self, webhook: &Webhook, now: EpochMs) -> HeaderMap {
        let timestamp_s = now.div_euclid(1_000);
        let sign =
            |secret: &vitrine_model::webhook::WebhookSecret| secret.sign(self.id.as_str(), timestamp_s, &self.body);
        let signatures: Vec<_> = webhook.secrets(now).map(sign).collect();
        let mut headers = HeaderMap::new();
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp_s));
        for (name, value) in [(ID, self.id.to_string()), (SIGNATURE, signatures.join(" "))] {
            // Both are plain ASCII.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        headers
    }
}
