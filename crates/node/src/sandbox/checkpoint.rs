//! Checkpoints of a sandbox's workspace: taken while it stands still, brought to the server afterwards.
//!
//! Promises: the sandbox stands still no longer than the taking takes; a checkpoint is visible once all that it needs is at the
//! server, or never; what breaks off in between leaves earlier checkpoints as they are.

use super::{Sandbox, fetch};
use crate::aside::aside;
use crate::clock;
use crate::node::Shared;
use crate::spool::{Setback, measure};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use vitrine_capsule::checkpoint::{Index, Pack, Taken};
use vitrine_capsule::{CapsuleError, TreeLimits};
use vitrine_model::CheckpointId;
use vitrine_model::sandbox::WORKSPACE;
use vitrine_model::wire::Object;

/// How much a workspace may hold: the disk bounds the bytes.
const TREE: TreeLimits = TreeLimits { entries_max: 2_000_000, bytes_max: u64::MAX };
/// Where packs wait for the server, in the session's folder.
const FOLDER: &str = "checkpoint";
/// How long a checkpoint may take to be brought: gigabytes over a slow line.
const BRING_LIMIT: Duration = Duration::from_secs(1800);
/// Checkpoints that are taken at once on the machine: each reads as fast as the disk gives.
static TAKES: Semaphore = Semaphore::const_new(4);
/// Between two tries to bring something.
const AGAIN: Duration = Duration::from_secs(2);

/// What the next checkpoint can rely on.
#[derive(Default)]
pub(super) enum Base {
    #[default]
    Nothing,
    /// A checkpoint that is kept, of which no more is known here.
    Kept(CheckpointId),
    /// The last one.
    Known(CheckpointId, Index),
}

impl Base {
    pub(super) fn id(&self) -> Option<&CheckpointId> {
        match self {
            Base::Nothing => None,
            Base::Kept(id) | Base::Known(id, _) => Some(id),
        }
    }
}

/// A checkpoint that is kept.
pub(crate) struct Kept {
    /// All that is kept of it, also what other checkpoints need.
    pub(crate) size: u64,
    pub(crate) workspace_bytes: u64,
    pub(crate) files: u64,
}

/// Why there is no checkpoint.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoCheckpoint(pub(crate) String);

impl NoCheckpoint {
    pub(super) fn because(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A checkpoint that is being made, whoever waits for it.
pub(crate) struct Underway {
    /// The sandbox may move again.
    pub(crate) taken: oneshot::Receiver<()>,
    pub(crate) kept: oneshot::Receiver<Result<Kept, NoCheckpoint>>,
}

impl Sandbox {
    /// Makes a checkpoint that a client wants, who gives up when too many are wanted already.
    pub(crate) async fn make_checkpoint(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        id: CheckpointId,
    ) -> Result<Kept, NoCheckpoint> {
        let Ok(place) = self.checkpoints.clone().try_acquire_owned() else {
            return Err(NoCheckpoint("too many checkpoints of the sandbox are being made: wait for one".into()));
        };
        let underway = self.checkpoint(shared, id, Some(place));
        underway.kept.await.map_err(|_| NoCheckpoint("the sandbox ends, or moves to disk".into()))?
    }

    /// Begins a checkpoint; it is made to its end whether or not somebody waits.
    pub(crate) fn begin_checkpoint(self: &Arc<Self>, shared: &Arc<Shared>, id: CheckpointId) -> Underway {
        self.checkpoint(shared, id, None)
    }

    fn checkpoint(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        id: CheckpointId,
        place: Option<OwnedSemaphorePermit>,
    ) -> Underway {
        let (tell_taken, taken) = oneshot::channel();
        let (tell_kept, kept) = oneshot::channel();
        let (sandbox, with) = (self.clone(), shared.clone());
        shared.serve(async move {
            // One at a time: the next one relies on it.
            let mut base = sandbox.base.lock().await;
            let made = timeout(BRING_LIMIT, sandbox.make(&with, &id, &mut base, tell_taken)).await;
            let made = made.unwrap_or_else(|late| Err(NoCheckpoint::because(late)));
            if let Err(error) = &made {
                tracing::warn!(session = %sandbox.folder.owner.session, %error, "a checkpoint was not made");
            }
            drop((base, place));
            if made.is_ok() {
                fetch::expect_forks(&with, &sandbox.folder, &id);
            }
            // Whoever waited may have left.
            let _ = tell_kept.send(made);
        });
        Underway { taken, kept }
    }

    async fn make(
        &self,
        shared: &Shared,
        id: &CheckpointId,
        base: &mut Base,
        tell_taken: oneshot::Sender<()>,
    ) -> Result<Kept, NoCheckpoint> {
        let index = self.index(shared, base).await;
        let relied = index.is_some();
        let mut made = self.take_and_bring(shared, id, index.unwrap_or_default(), Some(tell_taken)).await;
        if relied && matches!(made, Err(Setback::Refused(_))) {
            // What it relies on may have been deleted meanwhile: once more, whole.
            made = self.take_and_bring(shared, id, Index::default(), None).await;
        }
        let (kept, index) = made.map_err(NoCheckpoint::because)?;
        *base = Base::Known(id.clone(), index);
        Ok(kept)
    }

    async fn index(&self, shared: &Shared, base: &Base) -> Option<Index> {
        match base {
            Base::Nothing => None,
            Base::Known(_, index) => Some(index.clone()),
            Base::Kept(id) => match fetch::manifest(&shared.publisher, &self.folder, id).await {
                Ok(manifest) => Some(Index::of(&manifest)),
                Err(error) => {
                    tracing::info!(%error, "the last checkpoint is not there; the next one is whole");
                    None
                }
            },
        }
    }

    async fn take_and_bring(
        &self,
        shared: &Shared,
        id: &CheckpointId,
        index: Index,
        tell_taken: Option<oneshot::Sender<()>>,
    ) -> Result<(Kept, Index), Setback> {
        // What an earlier one left; a thread that is just ending may still write there.
        let all = self.folder.file(FOLDER);
        if let Err(error) = clear(&all) {
            tracing::debug!(%error, "packs of an earlier checkpoint stay for a while");
        }
        let folder = all.join(clock::unique());
        std::fs::create_dir_all(&folder)?;
        let (to, mut packs) = mpsc::unbounded_channel();
        let taken = async {
            let taken = self.take(index, folder.clone(), to).await;
            drop(tell_taken);
            taken
        };
        let brought = async move {
            while let Some(pack) = packs.recv().await {
                let object = Object::Pack { sha256: pack.sha256, size: pack.size };
                self.put(shared, object, &pack.file).await?;
                std::fs::remove_file(&pack.file)?;
            }
            Ok::<_, Setback>(())
        };
        let (taken, brought) = tokio::join!(taken, brought);
        // First why nobody took the packs any more.
        brought?;
        let taken = taken?;
        let kept = self.put_manifest(shared, id, &taken, &folder).await;
        clear(&folder)?;
        Ok((kept?, taken.index))
    }

    /// Takes it while everything stands still.
    async fn take(&self, index: Index, folder: PathBuf, to: mpsc::UnboundedSender<Written>) -> Result<Taken, Setback> {
        let _turn = TAKES.acquire().await.map_err(io::Error::other)?;
        let _still = self.moving.write().await;
        let failed = |error: CapsuleError| Setback::Refused(format!("could not {error}"));
        let is_paused = self.is_frozen();
        if !is_paused {
            self.capsule().freeze().await.map_err(failed)?;
        }
        let capsule = self.capsule().clone();
        let take = move || {
            let mut keep = |pack: Pack| {
                let (sha256, size) = (pack.fingerprint.to_string(), pack.bytes.len() as u64);
                let file = folder.join(&sha256);
                std::fs::write(&file, pack.bytes)?;
                // Nobody listens any more when the bringing failed, or nobody wants it: the rest is not read.
                to.send(Written { sha256, size, file }).map_err(|_| io::ErrorKind::BrokenPipe.into())
            };
            capsule.checkpoint(WORKSPACE, &index, TREE, &mut keep)
        };
        let taken = aside(take).await;
        if !is_paused && !self.closing.is_cancelled() {
            self.capsule().thaw().map_err(failed)?;
        }
        taken?.map_err(|error| Setback::Refused(format!("could not {error}")))
    }

    async fn put_manifest(
        &self,
        shared: &Shared,
        id: &CheckpointId,
        taken: &Taken,
        folder: &Path,
    ) -> Result<Kept, Setback> {
        let manifest = &taken.manifest;
        let bytes = manifest.encode().map_err(|error| Setback::Refused(format!("could not {error}")))?;
        let file = folder.join("manifest");
        std::fs::write(&file, bytes)?;
        let (size, sha256) = measure(&file)?;
        let workspace_bytes = manifest.content_bytes();
        let packs = manifest.packs().iter().map(|pack| pack.fingerprint.to_string()).collect();
        self.put(shared, Object::Checkpoint { id: id.clone(), size, sha256, packs, workspace_bytes }, &file).await?;
        let packs: u64 = manifest.packs().iter().map(|pack| pack.bytes).sum();
        Ok(Kept { size: size + packs, workspace_bytes, files: manifest.files() })
    }

    /// Brings one object, however often the server cannot be reached.
    async fn put(&self, shared: &Shared, object: Object, file: &Path) -> Result<(), Setback> {
        let request = shared.publisher.request(&self.folder, object);
        loop {
            match shared.publisher.put(&request, file).await {
                Ok(_) => return Ok(()),
                Err(Setback::Link(error)) => {
                    tracing::warn!(session = %self.folder.owner.session, %error, "a checkpoint is not kept yet");
                    sleep(AGAIN).await;
                }
                Err(other) => return Err(other),
            }
        }
    }
}

/// A pack that waits for the server.
struct Written {
    sha256: String,
    size: u64,
    file: PathBuf,
}

fn clear(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
