//! The live view of a session: made when its first viewer comes.

use super::downloads::Kept;
use crate::browser::BrowserCapsule;
use std::sync::{Mutex, MutexGuard, PoisonError};
use vitrine_browser::BrowserError;
use vitrine_browser::downloads::State;
use vitrine_browser::tabs::Tabs;
use vitrine_browser::view::{Download, DownloadState, Setup, Viewing};
use vitrine_model::embed::Policy;

/// Below which `uploads/NAME` lies, and where pages download to, as the browser sees it.
const UPLOADS: &str = "/session/uploads";
const DOWNLOADS: &str = "/session/downloads";

/// What viewers share, once there has been one.
#[derive(Default)]
pub(super) struct Gallery {
    made: Mutex<Option<(Tabs, Viewing)>>,
}

impl Gallery {
    /// The one for all viewers; another one when the connection that it went over was lost.
    pub(super) async fn viewing(
        &self,
        browser: &BrowserCapsule,
        session: &str,
        search: &str,
        policy: &Policy,
        downloads: &Kept,
    ) -> Result<Viewing, BrowserError> {
        let tabs = browser.tabs().await?;
        let mut made = self.lock();
        if let Some((with, viewing)) = &*made
            && with.connection().is_open()
        {
            return Ok(viewing.clone());
        }
        let setup = Setup {
            session: session.to_owned(),
            uploads: UPLOADS.to_owned(),
            downloads: DOWNLOADS.to_owned(),
            search: search.to_owned(),
            policy: policy.clone(),
        };
        let viewing = Viewing::new(tabs.clone(), setup);
        downloads.told().into_iter().for_each(|download| viewing.download(download));
        *made = Some((tabs, viewing.clone()));
        Ok(viewing)
    }

    /// Another policy for the viewers, if there are any.
    pub(super) async fn set_policy(&self, policy: &Policy) {
        let viewing = self.lock().as_ref().map(|(_, viewing)| viewing.clone());
        if let Some(viewing) = viewing {
            viewing.set_policy(policy.clone()).await;
        }
    }

    /// Tells viewers, if there are any.
    pub(super) fn tell(&self, download: Download) {
        if let Some((_, viewing)) = &*self.lock() {
            viewing.download(download);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Tabs, Viewing)>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In the words that viewers are told.
pub(super) fn state(state: State) -> DownloadState {
    match state {
        State::InProgress => DownloadState::InProgress,
        State::Completed => DownloadState::Completed,
        State::Cancelled => DownloadState::Cancelled,
    }
}
