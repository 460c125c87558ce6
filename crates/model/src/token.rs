//! Connect tokens: what lets a client at a session's live bytes without a database on the way.
//!
//! `SCOPE.RUN.MACHINE.EXPIRY.ID.SIGNATURE`; the signature (HMAC-SHA-256) also covers the session, which stands in the path.
//! A token names one run, so that it opens nothing once the session was started anew, and is revoked by the run's end. One
//! that was made by request has an id, by which it can be revoked earlier; the session's own have an empty one.

use crate::{EpochMs, MachineId, RunId, SessionId, TokenId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What a token lets its bearer do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Drive it over the DevTools protocol.
    Cdp,
    /// Look at it.
    View,
    /// Look at it and act in it.
    Control,
    /// Its files.
    Files,
    /// Its terminals.
    Terminal,
    /// To its page: the token of an embed session's `login_url`.
    Login,
    /// One exchange for a token of the scope `page`.
    Entry,
    /// What the page of an embed session does: look, act, files, calls.
    Page,
}

impl Scope {
    const ALL: [Scope; 8] = [
        Scope::Cdp,
        Scope::View,
        Scope::Control,
        Scope::Files,
        Scope::Terminal,
        Scope::Login,
        Scope::Entry,
        Scope::Page,
    ];

    /// The word in the token.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Cdp => "cdp",
            Scope::View => "view",
            Scope::Control => "control",
            Scope::Files => "files",
            Scope::Terminal => "terminal",
            Scope::Login => "login",
            Scope::Entry => "entry",
            Scope::Page => "page",
        }
    }
}

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub session: SessionId,
    pub run: RunId,
    pub machine: MachineId,
    pub scope: Scope,
    pub expires_at: EpochMs,
    /// `None`: the session's own; it cannot be revoked before the run's end.
    pub id: Option<TokenId>,
}

/// Bytes of a signing key.
pub const SIGNING_KEY_BYTES: usize = 32;
/// Longer text is no token.
const TOKEN_CHARS_MAX: usize = 160;

/// The key that signs connect tokens. `Debug` never shows it.
#[derive(Clone)]
pub struct SigningKey([u8; SIGNING_KEY_BYTES]);

impl SigningKey {
    /// Takes the key's bytes.
    pub fn new(bytes: [u8; SIGNING_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Signs the claims.
    pub fn sign(&self, claims: &Claims) -> String {
        let body = body(claims);
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&claims.session, &body).finalize().into_bytes());
        format!("{body}.{signature}")
    }

    /// The claims of a token for `session`, when it is ours and still good at `now`.
    pub fn verify(&self, session: &SessionId, token: &str, now: EpochMs) -> Option<Claims> {
        if token.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let (body, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(session, body).verify_slice(&signature).ok()?;
        let mut parts = body.split('.');
        let scope = parts.next()?;
        let claims = Claims {
            session: session.clone(),
            scope: Scope::ALL.into_iter().find(|known| known.as_str() == scope)?,
            run: RunId::parse(parts.next()?).ok()?,
            machine: MachineId::parse(parts.next()?).ok()?,
            expires_at: parts.next()?.parse().ok()?,
            id: match parts.next()? {
                "" => None,
                id => Some(TokenId::parse(id).ok()?),
            },
        };
        (parts.next().is_none() && now < claims.expires_at).then_some(claims)
    }

    /// A key of the same secret for another purpose: what is signed with one means nothing to the other.
    pub(crate) fn for_purpose(&self, purpose: &str) -> Hmac<Sha256> {
        // HMAC takes a key of any length; the error type exists for other MACs.
        let mut derived = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!());
        derived.update(purpose.as_bytes());
        <Hmac<Sha256> as Mac>::new_from_slice(&derived.finalize().into_bytes()).unwrap_or_else(|_| unreachable!())
    }

    fn mac(&self, session: &SessionId, body: &str) -> Hmac<Sha256> {
        // HMAC takes a key of any length; the error type exists for other MACs.
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).unwrap_or_else(|_| unreachable!());
        mac.update(session.as_str().as_bytes());
        mac.update(b"\n");
        mac.update(body.as_bytes());
        mac
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

fn body(claims: &Claims) -> String {
    let id = claims.id.as_ref().map_or("", TokenId::as_str);
    format!("{}.{}.{}.{}.{id}", claims.scope.as_str(), claims.run, claims.machine, claims.expires_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_own_session_until_it_expires_and_nothing_else() {
        let entropy = |buffer: &mut [u8]| buffer.fill(9);
        let other = SessionId::new(2, &entropy);
        let claims = Claims {
            session: SessionId::new(1, &entropy),
            run: RunId::new(1, &entropy),
            machine: MachineId::new(&entropy),
            scope: Scope::Cdp,
            expires_at: 1_000,
            id: None,
        };
        let key = SigningKey::new([7; SIGNING_KEY_BYTES]);
        let token = key.sign(&claims);
        assert_eq!(key.verify(&claims.session, &token, 999), Some(claims.clone()));
        let revocable = Claims { id: Some(TokenId::new(1, &entropy)), ..claims.clone() };
        assert_eq!(key.verify(&claims.session, &key.sign(&revocable), 1), Some(revocable));
        assert_eq!(key.verify(&claims.session, &token, 1_000), None, "expired");
        assert_eq!(key.verify(&other, &token, 1), None, "another session's");
        assert_eq!(SigningKey::new([8; SIGNING_KEY_BYTES]).verify(&claims.session, &token, 1), None);
        for broken in ["", ".", "a.b.c.d.e", &token.replace("cdp", "view"), &token[..token.len() - 1]] {
            assert_eq!(key.verify(&claims.session, broken, 1), None, "{broken}");
        }
    }
}
