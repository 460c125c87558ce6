//! Tickets: what opens one connection to a terminal, once and soon.
//!
//! A JSON Web Token (RFC 7519) signed with HMAC-SHA-256, so that clients can read when it expires. It names one run, as
//! connect tokens do, and carries an id by which whoever takes it remembers that it was used.

use crate::token::SigningKey;
use crate::{EpochMs, MachineId, RunId, SessionId, TokenId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Mac;
use serde::{Deserialize, Serialize};

/// How long a ticket is good.
pub const TICKET_MS: EpochMs = 60_000;
/// `{"alg":"HS256","typ":"JWT"}`: the only header that is ever taken, so that no ticket chooses how it is checked.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Longer text is no ticket.
const TICKET_CHARS_MAX: usize = 1_024;
/// What its key is derived for.
const PURPOSE: &str = "terminal ticket";

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    #[serde(rename = "sub")]
    pub session: SessionId,
    pub run: RunId,
    #[serde(rename = "mac")]
    pub machine: MachineId,
    /// `None`: a new terminal is opened.
    #[serde(rename = "term", default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<u64>,
    #[serde(rename = "jti")]
    pub id: TokenId,
    /// Seconds since the epoch, as the standard has it.
    #[serde(rename = "exp")]
    pub expires_s: i64,
}

impl SigningKey {
    /// Signs a ticket.
    pub fn sign_ticket(&self, ticket: &Ticket) -> String {
        // Plain fields only: writing them as JSON cannot fail.
        let claims = serde_json::to_vec(ticket).unwrap_or_else(|_| unreachable!());
        let body = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.for_purpose(PURPOSE).chain_update(body.as_bytes()).finalize().into_bytes();
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a ticket for `session` says, when it is ours and still good at `now`.
    pub fn verify_ticket(&self, session: &SessionId, text: &str, now: EpochMs) -> Option<Ticket> {
        let (body, signature) = text.rsplit_once('.').filter(|_| text.len() <= TICKET_CHARS_MAX)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.for_purpose(PURPOSE).chain_update(body.as_bytes()).verify_slice(&signature).ok()?;
        let claims = body.strip_prefix(HEADER)?.strip_prefix('.')?;
        let ticket: Ticket = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        (ticket.session == *session && now < ticket.expires_s.saturating_mul(1_000)).then_some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Claims, SIGNING_KEY_BYTES, Scope};

    fn ticket() -> Ticket {
        let entropy = |buffer: &mut [u8]| buffer.fill(9);
        Ticket {
            session: SessionId::new(1, &entropy),
            run: RunId::new(1, &entropy),
            machine: MachineId::new(&entropy),
            terminal: Some(7),
            id: TokenId::new(1, &entropy),
            expires_s: 60,
        }
    }

    #[test]
    fn a_ticket_is_a_web_token_that_opens_its_own_session_until_it_expires() {
        let (key, ticket) = (SigningKey::new([7; SIGNING_KEY_BYTES]), ticket());
        let text = key.sign_ticket(&ticket);
        assert_eq!(URL_SAFE_NO_PAD.decode(HEADER).unwrap(), br#"{"alg":"HS256","typ":"JWT"}"#);
        assert_eq!(text.split('.').count(), 3);
        assert_eq!(key.verify_ticket(&ticket.session, &text, 59_999), Some(ticket.clone()));
        assert_eq!(key.verify_ticket(&ticket.session, &text, 60_000), None, "expired");
        let other = SessionId::new(2, &|buffer: &mut [u8]| buffer.fill(9));
        assert_eq!(key.verify_ticket(&other, &text, 1), None, "another session's");
        assert_eq!(SigningKey::new([8; SIGNING_KEY_BYTES]).verify_ticket(&ticket.session, &text, 1), None);
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", text.split('.').nth(1).unwrap());
        for broken in ["", "..", "a.b.c", &unsigned, &text[..text.len() - 1], &text.replace('.', "")] {
            assert_eq!(key.verify_ticket(&ticket.session, broken, 1), None, "{broken}");
        }
    }

    #[test]
    fn a_connect_token_is_no_ticket_and_a_ticket_no_connect_token() {
        let (key, ticket) = (SigningKey::new([7; SIGNING_KEY_BYTES]), ticket());
        let claims = Claims {
            session: ticket.session.clone(),
            run: ticket.run.clone(),
            machine: ticket.machine.clone(),
            scope: Scope::Terminal,
            expires_at: 1_000,
            id: None,
        };
        assert_eq!(key.verify_ticket(&ticket.session, &key.sign(&claims), 1), None);
        assert_eq!(key.verify(&ticket.session, &key.sign_ticket(&ticket), 1), None);
    }
}
