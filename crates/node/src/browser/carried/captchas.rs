//! CAPTCHAs in a session's pages: told as events, answered by the operator's solver where there is one.

use super::AGAIN;
use crate::browser::BrowserCapsule;
use crate::report::Reporter;
use serde_json::json;
use std::sync::Arc;
use tokio::time::sleep;
use vitrine_browser::captcha::{Captcha, Challenge, Event, Solve};
use vitrine_model::Happening;

/// Watches for them; never ends by itself.
pub(super) async fn follow(browser: &BrowserCapsule, reporter: &Reporter, solver: Option<Arc<dyn Solve>>) -> ! {
    let configured = if solver.is_some() { "configured" } else { "none" };
    loop {
        match browser.own_connection().await {
            Ok(connection) => {
                let mut captchas = Captcha::watch(connection, solver.clone());
                while let Some(event) = captchas.next().await {
                    tell(reporter, event, configured).await;
                }
            }
            Err(error) => tracing::debug!(%error, "a browser cannot be watched for CAPTCHAs"),
        }
        sleep(AGAIN).await;
    }
}

async fn tell(reporter: &Reporter, event: Event, solver: &str) {
    match event {
        Event::Detected(Challenge { kind, url, site_key, .. }) => {
            let data = json!({ "kind": kind, "url": url, "siteKey": site_key, "solver": solver });
            reporter.happened(Happening::CaptchaDetected, data).await;
        }
        Event::Solved(Challenge { kind, url, site_key, .. }) => {
            let data = json!({ "kind": kind, "url": url, "siteKey": site_key });
            reporter.happened(Happening::CaptchaSolved, data).await;
        }
        Event::Failed { challenge: Challenge { kind, url, .. }, message } => {
            let data = json!({ "kind": kind, "url": url, "message": message });
            reporter.happened(Happening::CaptchaFailed, data).await;
        }
    }
}
