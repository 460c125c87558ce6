//! The recording and the HAR file of a session: begun before it is ready, ended when its clients have left, and made into objects,
//! also when a dead process left them.

use crate::browser::BrowserCapsule;
use crate::clock;
use crate::error::StartError;
use crate::spool::{Folder, Made, measure};
use std::io;
use std::path::Path;
use std::sync::Arc;
use vitrine_browser::har::{self, Har, HarError};
use vitrine_browser::recording::{self, Recording, RecordingError};
use vitrine_model::{ArtifactKind, BrowserSpec};

/// While they grow, and once they are whole.
const RECORDING: &str = "recording.mp4";
const HAR_SPOOL: &str = "har.jsonl";
const HAR: &str = "session.har";

/// What is being written of a session.
#[derive(Default)]
pub(super) struct Records {
    recording: Option<Recording>,
    har: Option<Har>,
}

impl Records {
    /// Begins what was asked for, or goes on with what an earlier node began.
    pub(super) async fn begin(
        spec: &BrowserSpec,
        browser: &BrowserCapsule,
        folder: &Folder,
    ) -> Result<Records, StartError> {
        let mut records = Records::default();
        if spec.recording {
            let failed = |error: String| StartError::failed("record the session", error);
            let tabs = browser.tabs().await.map_err(|error| failed(error.to_string()))?;
            let begun = Recording::start(tabs, &folder.file(RECORDING), clock::now()).await;
            records.recording = Some(begun.map_err(|error| failed(error.to_string()))?);
        }
        if let Some(spec) = spec.har {
            let failed = |error: String| StartError::failed("begin the session's HAR file", error);
            let connection = browser.own_connection().await.map_err(|error| failed(error.to_string()))?;
            let begun = Har::start(connection, &folder.file(HAR_SPOOL), spec).await;
            records.har = Some(begun.map_err(|error| failed(error.to_string()))?);
        }
        Ok(records)
    }

    /// Ends them, and makes them objects of the folder.
    pub(super) async fn finish(self, folder: &Arc<Folder>) {
        if let Some(recording) = self.recording
            && let Err(error) = recording.finish().await
        {
            tracing::debug!(session = %folder.owner.session, %error, "a recording was not finished at once");
        }
        if let Some(har) = self.har
            && let Err(error) = har.finish(&folder.file(HAR)).await
        {
            tracing::debug!(session = %folder.owner.session, %error, "a HAR file was not put together at once");
        }
        conclude(folder).await;
    }
}

/// Makes objects of what is written in a folder, whoever wrote it. Nothing happens when that was done before.
pub(crate) async fn conclude(folder: &Arc<Folder>) {
    let folder = folder.clone();
    let work = move || {
        if let Err(error) = conclude_recording(&folder) {
            tracing::warn!(session = %folder.owner.session, error, "a recording is lost");
        }
        if let Err(error) = conclude_har(&folder) {
            tracing::warn!(session = %folder.owner.session, error, "a HAR file is lost");
        }
    };
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!(%error, "what a session recorded could not be concluded");
    }
}

fn conclude_recording(folder: &Folder) -> Result<(), String> {
    let file = folder.file(RECORDING);
    if !file.exists() {
        return Ok(());
    }
    match recording::finalise(&file) {
        Ok(_) => {}
        Err(RecordingError::Empty) => return std::fs::remove_file(&file).map_err(|error| error.to_string()),
        // It plays as it is, up to its last whole second.
        Err(error) => tracing::warn!(session = %folder.owner.session, %error, "a recording stays as it was written"),
    }
    add(folder, ArtifactKind::Recording, RECORDING, "video/mp4", &file).map_err(|error| error.to_string())
}

fn conclude_har(folder: &Folder) -> Result<(), String> {
    let (spool, file) = (folder.file(HAR_SPOOL), folder.file(HAR));
    if !spool.exists() {
        return Ok(());
    }
    let assembled = match file.exists() {
        true => Ok(()),
        false => har::assemble(&spool, &file).map(drop).map_err(|error: HarError| error.to_string()),
    };
    let added = assembled.and_then(|()| {
        add(folder, ArtifactKind::Har, HAR, "application/json", &file).map_err(|error| error.to_string())
    });
    std::fs::remove_file(&spool).map_err(|error| error.to_string())?;
    added
}

fn add(folder: &Folder, kind: ArtifactKind, name: &str, content_type: &str, file: &Path) -> io::Result<()> {
    let (size, sha256) = measure(file)?;
    let made = Made { kind, name: name.into(), content_type: content_type.into(), size, sha256, place: None };
    folder.add(made, file).map(drop)
}
