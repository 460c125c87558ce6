//! Brings what lies in the spool to the server.
//!
//! One path for all: a run's own files while it lives, what is left at its end, and what an earlier node left. Each try may fail;
//! what is left over is tried again until the server has it, refuses it, or disowns the run.

use super::{Folder, Record, Spool, record};
use crate::browser::conclude;
use crate::link::{Body, Link, LinkError};
use futures_util::StreamExt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use vitrine_model::MachineId;
use vitrine_model::wire::{Object, ObjectAnswer, ObjectRequest};

/// Between two tries to bring what is left.
const AGAIN: Duration = Duration::from_secs(15);
/// How long one object may take: a gigabyte over a slow line.
const OBJECT_LIMIT: Duration = Duration::from_secs(1800);
/// Folders that are emptied at once.
const FOLDERS_AT_ONCE: usize = 4;

/// Why an object is not at the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Setback {
    /// The run is not ours any more: nothing of it is wanted.
    #[error("bring it: the server gave the run up")]
    NotYours,
    /// Another try would not help.
    #[error("have it taken by the server: {0}")]
    Refused(String),
    /// Another try may help.
    #[error("{0}")]
    Link(#[from] LinkError),
    #[error("bring it within {} s", OBJECT_LIMIT.as_secs())]
    Late,
    #[error("keep note of it: {0}")]
    Disk(#[from] io::Error),
}

/// Brings objects.
pub(crate) struct Publisher {
    pub(crate) spool: Spool,
    link: Link,
    machine: MachineId,
    epoch: Arc<AtomicI64>,
    wake: Notify,
}

impl Publisher {
    pub(crate) fn new(spool: Spool, link: Link, machine: MachineId, epoch: Arc<AtomicI64>) -> Self {
        Self { spool, link, machine, epoch, wake: Notify::new() }
    }

    /// What is asked or brought for a run.
    pub(crate) fn request(&self, folder: &Folder, object: Object) -> ObjectRequest {
        self.requests(folder)(object)
    }

    /// The same for one object after the other.
    pub(crate) fn requests(&self, folder: &Folder) -> impl Fn(Object) -> ObjectRequest + Send + use<> {
        let (machine, epoch, owner) = (self.machine.clone(), self.epoch.clone(), folder.owner.clone());
        move |object| ObjectRequest {
            machine: machine.clone(),
            epoch: epoch.load(Ordering::Acquire),
            session: owner.session.clone(),
            generation: owner.generation,
            run: owner.run.clone(),
            object,
        }
    }

    /// Brings one file.
    pub(crate) async fn put(&self, request: &ObjectRequest, file: &Path) -> Result<Option<String>, Setback> {
        let answer = timeout(OBJECT_LIMIT, self.link.put_object(request, file)).await.map_err(|_| Setback::Late)?;
        match answer? {
            ObjectAnswer::Kept { key } => Ok(key),
            ObjectAnswer::NotYours => Err(Setback::NotYours),
            ObjectAnswer::Refused { message } => Err(Setback::Refused(message)),
        }
    }

    /// The bytes of an object that was brought by an earlier session.
    pub(crate) async fn get(&self, request: &ObjectRequest) -> Result<Option<Body>, LinkError> {
        self.link.get_object(request).await
    }

    /// Brings all that waits in a folder, and gives what was brought. Stops at the first that must be tried again.
    pub(crate) async fn bring(&self, folder: &Folder) -> Result<Vec<Record>, Setback> {
        let _alone = folder.bringing.lock().await;
        let mut brought = Vec::new();
        for record in folder.waiting() {
            let file = record::bytes(&folder.path.join(super::OBJECTS), record.number);
            match self.put(&self.request(folder, record.made.object()), &file).await {
                Ok(key) => {
                    // A server that names no key has it all the same.
                    let key = key.unwrap_or_else(|| record.made.kind.key(&record.made.name));
                    folder.settle(record.number, Some(key.clone()))?;
                    brought.push(Record { key: Some(key), ..record });
                }
                Err(Setback::Refused(message)) => {
                    tracing::warn!(session = %folder.owner.session, name = record.made.name, message, "the server does not keep a file");
                    folder.settle(record.number, None)?;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(brought)
    }

    /// A run is over: what it left is brought as soon as possible.
    pub(crate) fn left(&self, folder: &Folder) {
        self.spool.close_folder(&folder.owner.session);
        self.wake.notify_one();
    }

    /// The run was none: nothing of it is wanted.
    pub(crate) fn discard(&self, folder: &Folder) {
        if let Err(error) = self.spool.remove(folder) {
            tracing::warn!(session = %folder.owner.session, %error, "could not remove a session's folder");
        }
    }

    /// Brings what runs left until stopped.
    pub(crate) async fn keep_empty(self: Arc<Self>, stop: CancellationToken) {
        loop {
            if stop.run_until_cancelled(self.empty()).await.is_none() {
                return;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Brings, once, all that runs left.
    pub(crate) async fn empty(&self) {
        let left = futures_util::stream::iter(self.spool.left());
        left.for_each_concurrent(FOLDERS_AT_ONCE, |folder| async move {
            if let Err(setback) = self.empty_one(&folder).await {
                tracing::warn!(session = %folder.owner.session, %setback, "what a session left is not at the server yet");
            }
        })
        .await;
    }

    async fn empty_one(&self, folder: &Arc<Folder>) -> Result<(), Setback> {
        conclude(folder).await;
        match self.bring(folder).await {
            Ok(_) => {}
            Err(Setback::NotYours) => {
                tracing::warn!(session = %folder.owner.session, "the server disowns what a session left; it is removed");
            }
            Err(other) => return Err(other),
        }
        Ok(self.spool.remove(folder)?)
    }
}
