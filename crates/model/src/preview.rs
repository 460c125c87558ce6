//! Preview tokens: what lets a browser at one port of a sandbox, for a time.
//!
//! `RUN.MACHINE.EXPIRY.SIGNATURE`; the signature (HMAC-SHA-256, by a key of its own) also covers the session and the port,
//! which stand in the address. The run and the machine say where to look first: a sandbox that started again is found by its
//! row.

use crate::token::SigningKey;
use crate::{EpochMs, MachineId, RunId, SessionId};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::num::NonZeroU16;

/// Longer text is no token.
const TOKEN_CHARS_MAX: usize = 160;
/// What its key is derived for.
const PURPOSE: &str = "port preview";

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewClaims {
    pub session: SessionId,
    pub port: NonZeroU16,
    pub run: RunId,
    pub machine: MachineId,
    pub expires_at: EpochMs,
}

impl SigningKey {
    /// Signs the claims.
    pub fn sign_preview(&self, claims: &PreviewClaims) -> String {
        let body = format!("{}.{}.{}", claims.run, claims.machine, claims.expires_at);
        let signature = self.preview_mac(&claims.session, claims.port, &body).finalize().into_bytes();
        format!("{body}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The claims of a token for a port of `session`, when it is ours and still good at `now`.
    pub fn verify_preview(
        &self,
        session: &SessionId,
        port: NonZeroU16,
        token: &str,
        now: EpochMs,
    ) -> Option<PreviewClaims> {
        let (body, signature) = token.rsplit_once('.').filter(|_| token.len() <= TOKEN_CHARS_MAX)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.preview_mac(session, port, body).verify_slice(&signature).ok()?;
        let mut parts = body.split('.');
        let claims = PreviewClaims {
            session: session.clone(),
            port,
            run: RunId::parse(parts.next()?).ok()?,
            machine: MachineId::parse(parts.next()?).ok()?,
            expires_at: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && now < claims.expires_at).then_some(claims)
    }

    fn preview_mac(&self, session: &SessionId, port: NonZeroU16, body: &str) -> Hmac<Sha256> {
        self.for_purpose(PURPOSE).chain_update(format!("{session}\n{port}\n{body}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::SIGNING_KEY_BYTES;

    #[test]
    fn a_token_opens_its_own_port_until_it_expires_and_nothing_else() {
        let entropy = |buffer: &mut [u8]| buffer.fill(9);
        let port = |number| NonZeroU16::new(number).unwrap();
        let claims = PreviewClaims {
            session: SessionId::new(1, &entropy),
            port: port(3000),
            run: RunId::new(1, &entropy),
            machine: MachineId::new(&entropy),
            expires_at: 1_000,
        };
        let key = SigningKey::new([7; SIGNING_KEY_BYTES]);
        let token = key.sign_preview(&claims);
        let session = &claims.session;
        assert_eq!(key.verify_preview(session, port(3000), &token, 999), Some(claims.clone()));
        assert_eq!(key.verify_preview(session, port(3000), &token, 1_000), None, "expired");
        assert_eq!(key.verify_preview(session, port(3001), &token, 1), None, "another port");
        assert_eq!(key.verify_preview(&SessionId::new(2, &entropy), port(3000), &token, 1), None);
        assert_eq!(SigningKey::new([8; SIGNING_KEY_BYTES]).verify_preview(session, port(3000), &token, 1), None);
        assert_eq!(key.verify(session, &token, 1), None, "no connect token");
        for broken in ["", ".", "...", &token.replace("1000", "9000"), &token[..token.len() - 1], &token.repeat(2)] {
            assert_eq!(key.verify_preview(session, port(3000), broken, 1), None, "{broken}");
        }
    }
}
