//! A session's saved profile: fetched before its browser starts, saved when the browser was closed in an orderly way.
//!
//! Cookies without an end are taken every few seconds, for a client may close the browser itself, and then they can no longer be
//! asked for.

use crate::browser::BrowserCapsule;
use crate::error::StartError;
use crate::pool::Warm;
use crate::spool::{Folder, Publisher, Setback, measure};
use http_body_util::BodyExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};
use vitrine_browser::profile::{self, SessionCookies};
use vitrine_model::SchedulingReason;
use vitrine_model::wire::Object;

/// Between two looks at the cookies.
const COOKIES_EVERY: Duration = Duration::from_secs(5);
/// How long a browser may take to answer after them.
const COOKIES_LIMIT: Duration = Duration::from_secs(5);
/// How long a browser may take to write its profile and end.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// How long a saved profile may take to come.
const FETCH_LIMIT: Duration = Duration::from_secs(60);
/// How long the end of a session waits for its profile to be kept: the next session with it must not begin before.
const SAVE_LIMIT: Duration = Duration::from_secs(60);
/// Between two tries to have it kept.
const AGAIN: Duration = Duration::from_secs(2);
/// Where it is on the machine while it travels.
const FETCHED: &str = "profile.fetched";
const PACKED: &str = "profile.packed";

/// A session's profile.
#[derive(Default)]
pub(super) struct Profile {
    cookies: Mutex<SessionCookies>,
}

impl Profile {
    /// Takes the cookies now and then.
    pub(super) async fn follow(&self, browser: &BrowserCapsule) -> ! {
        loop {
            self.take_cookies(browser).await;
            sleep(COOKIES_EVERY).await;
        }
    }

    async fn take_cookies(&self, browser: &BrowserCapsule) {
        let taken =
            timeout(COOKIES_LIMIT, async { SessionCookies::take(&browser.connection().await.ok()?).await.ok() });
        if let Ok(Some(cookies)) = taken.await {
            *self.cookies.lock().unwrap_or_else(PoisonError::into_inner) = cookies;
        }
    }

    /// Closes the browser and has its profile kept. What was kept before stays when any of this fails.
    pub(super) async fn save(
        &self,
        browser: &BrowserCapsule,
        folder: &Folder,
        publisher: &Publisher,
        bytes_max: u64,
    ) -> Result<(), String> {
        if browser.lives() {
            self.take_cookies(browser).await;
        }
        let exit = browser.close(CLOSE_LIMIT).await;
        let cookies = std::mem::take(&mut *self.cookies.lock().unwrap_or_else(PoisonError::into_inner));
        let (source, target) = (browser.profile_folder(), folder.file(PACKED));
        let pack = move || {
            let archive = std::fs::File::create(&target).map_err(|error| error.to_string())?;
            profile::pack(exit, &source, &cookies, archive).map_err(|error| error.to_string())?;
            let (size, sha256) = measure(&target).map_err(|error| error.to_string())?;
            match size > bytes_max {
                true => Err(format!("it is larger than {bytes_max} bytes")),
                false => Ok((target, size, sha256)),
            }
        };
        let (packed, size, sha256) = tokio::task::spawn_blocking(pack).await.map_err(|error| error.to_string())??;
        let put = put(publisher, folder, Object::Profile { size, sha256 }, &packed);
        let put = timeout(SAVE_LIMIT, put).await;
        put.unwrap_or_else(|_| Err(format!("the server did not take it within {} s", SAVE_LIMIT.as_secs())))
    }
}

async fn put(publisher: &Publisher, folder: &Folder, object: Object, file: &Path) -> Result<(), String> {
    let request = publisher.request(folder, object);
    loop {
        match publisher.put(&request, file).await {
            Ok(_) => return Ok(()),
            Err(Setback::Link(error)) => {
                tracing::warn!(session = %folder.owner.session, %error, "a profile is not kept yet");
                sleep(AGAIN).await;
            }
            Err(other) => return Err(other.to_string()),
        }
    }
}

/// Brings the saved profile to this machine; `None` when there is none yet.
pub(super) async fn fetch(folder: &Folder, publisher: &Publisher) -> Result<Option<PathBuf>, StartError> {
    let failed = |cause: String| StartError {
        reason: SchedulingReason::StartFailed,
        message: format!("could not fetch the saved profile: {cause}"),
    };
    let target = folder.file(FETCHED);
    let fetch = async {
        let object = Object::Profile { size: 0, sha256: String::new() };
        let Some(mut body) =
            publisher.get(&publisher.request(folder, object)).await.map_err(|error| error.to_string())?
        else {
            return Ok(None);
        };
        let mut file = tokio::fs::File::create(&target).await.map_err(|error| error.to_string())?;
        while let Some(frame) = body.frame().await {
            if let Ok(bytes) = frame.map_err(|error| error.to_string())?.into_data() {
                file.write_all(&bytes).await.map_err(|error| error.to_string())?;
            }
        }
        file.flush().await.map_err(|error| error.to_string())?;
        Ok(Some(target))
    };
    match timeout(FETCH_LIMIT, fetch).await {
        Ok(fetched) => fetched.map_err(failed),
        Err(_) => Err(failed(format!("the server did not send it within {} s", FETCH_LIMIT.as_secs()))),
    }
}
