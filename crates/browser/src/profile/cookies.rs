//! The cookies that last as long as the browser: Chromium writes them nowhere.

use serde::{Deserialize, Serialize};
use vitrine_cdp::protocol::network::{Cookie, CookieParam};
use vitrine_cdp::protocol::storage::{GetCookies, SetCookies};
use vitrine_cdp::{CdpError, Connection};

/// Cookies of this kind that are kept; Chromium itself has 3300 of all kinds.
const COOKIES_MAX: usize = 3300;

/// Taken from a running browser, given to the next one. No `Debug`: they are somebody's logins.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct SessionCookies(Vec<Cookie>);

impl SessionCookies {
    /// Those of the default context. To be taken before the browser is asked to close, and now and then where a client may
    /// close it.
    pub async fn take(connection: &Connection) -> Result<SessionCookies, CdpError> {
        let mut cookies = connection.call(GetCookies::default()).await?.cookies;
        cookies.retain(|cookie| cookie.session && cookie.partition_key_opaque != Some(true));
        cookies.truncate(COOKIES_MAX);
        Ok(SessionCookies(cookies))
    }

    /// Puts them into a browser that no client has yet. One that Chromium does not take is left out, not all.
    pub async fn restore(self, connection: &Connection) -> Result<(), CdpError> {
        let cookies: Vec<_> = self.0.into_iter().take(COOKIES_MAX).map(parameter).collect();
        if cookies.is_empty() {
            return Ok(());
        }
        let together = SetCookies { cookies: cookies.clone(), browser_context_id: None };
        match connection.call(together).await {
            Err(CdpError::Refused { .. }) => {}
            answered => return answered.map(drop),
        }
        for cookie in cookies {
            match connection.call(SetCookies { cookies: vec![cookie], browser_context_id: None }).await {
                Err(CdpError::Refused { message, .. }) => tracing::debug!(message, "a saved cookie was refused"),
                answered => drop(answered?),
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn parameter(cookie: Cookie) -> CookieParam {
    CookieParam {
        name: cookie.name,
        value: cookie.value,
        domain: Some(cookie.domain),
        path: Some(cookie.path),
        secure: Some(cookie.secure),
        http_only: Some(cookie.http_only),
        same_site: cookie.same_site,
        priority: Some(cookie.priority),
        source_scheme: Some(cookie.source_scheme),
        source_port: Some(cookie.source_port),
        partition_key: cookie.partition_key,
        url: None,
        expires: None,
    }
}
