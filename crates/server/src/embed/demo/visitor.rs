//! Who visits: a cookie of random bytes, and an address. Neither is kept; a keyed hash of each is.

use crate::app::App;
use crate::cookie;
use axum::response::Response;
use hmac::{Hmac, Mac};
use http::HeaderMap;
use http::header::SET_COOKIE;
use sha2::Sha256;
use std::net::IpAddr;
use vitrine_model::Error;
use vitrine_model::api_key::hexadecimal;

/// The cookie.
pub const COOKIE: &str = "bbx_sid";
/// Random bytes of a cookie.
const COOKIE_BYTES: usize = 32;
/// How long a browser keeps it: a visitor who comes back the next day is the same.
const COOKIE_SECONDS: i64 = 30 * 86_400;

/// A visitor's cookie.
#[derive(Clone)]
pub struct Visitor(String);

impl Visitor {
    /// Who the request's cookie says.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let is_ours = |value: &&str| {
            value.len() == 2 * COOKIE_BYTES && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        cookie::values(headers, COOKIE).find(is_ours).map(|value| Self(value.to_owned()))
    }

    /// A new one.
    pub fn new(app: &App) -> Self {
        let mut bytes = [0; COOKIE_BYTES];
        app.entropy.fill(&mut bytes);
        Self(hexadecimal(&bytes))
    }

    /// What is kept of the cookie.
    pub fn hash(&self, app: &App) -> [u8; 32] {
        app.visitor_hash("cookie", self.0.as_bytes())
    }

    /// Gives the visitor the cookie.
    pub fn mark(&self, app: &App, headers: &HeaderMap, response: &mut Response) -> Result<(), Error> {
        if let Some(cookie) = cookie::written(&app.base(headers)?, COOKIE, &self.0, "/", COOKIE_SECONDS) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(())
    }
}

impl App {
    /// What is kept of an address: of IPv6 the half that a client cannot choose.
    pub fn address_hash(&self, address: IpAddr) -> [u8; 32] {
        match address.to_canonical() {
            IpAddr::V4(address) => self.visitor_hash("ipv4", &address.octets()),
            IpAddr::V6(address) => self.visitor_hash("ipv6", &address.octets()[..8]),
        }
    }

    fn visitor_hash(&self, what: &str, bytes: &[u8]) -> [u8; 32] {
        // HMAC takes a key of any length; the error type exists for other MACs.
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.visitor_key).unwrap_or_else(|_| unreachable!());
        mac.chain_update(what.as_bytes()).chain_update([0]).chain_update(bytes).finalize().into_bytes().into()
    }
}
