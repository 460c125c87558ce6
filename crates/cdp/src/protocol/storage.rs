//! `Storage`: written by `cargo xtask cdp` from Chromium's description; do not edit.

use serde::{Deserialize, Serialize};

/// Returns all browser cookies.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetCookies {
    /// Browser context to use when called on the browser endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser_context_id: Option<super::browser::BrowserContextId>,
}

/// What `Storage.getCookies` answers.
#[derive(Clone, Debug, Deserialize)]
pub struct GetCookiesResponse {
    /// Array of cookie objects.
    pub cookies: Vec<super::network::Cookie>,
}

impl crate::Command for GetCookies {
    const METHOD: &'static str = "Storage.getCookies";
    type Response = GetCookiesResponse;
}

/// Sets given cookies.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetCookies {
    /// Cookies to be set.
    pub cookies: Vec<super::network::CookieParam>,
    /// Browser context to use when called on the browser endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser_context_id: Option<super::browser::BrowserContextId>,
}

impl crate::Command for SetCookies {
    const METHOD: &'static str = "Storage.setCookies";
    type Response = crate::Nothing;
}
