//! Checkpoints brought to this machine: what a fork begins as, and what a workspace goes back to.
//!
//! Promises: packs come several at once, and a bounded number of them is in memory; a workspace goes back to its end whoever
//! waits; what was made a checkpoint here is soon unpacked here, one at a time, beside everything else.

use super::Sandbox;
use super::checkpoint::{Base, NoCheckpoint};
use super::trees::{Tree, Trees};
use crate::aside::aside;
use crate::link::Body;
use crate::node::Shared;
use crate::spool::{Folder, Publisher};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Limited};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use vitrine_capsule::checkpoint::{CheckpointError, Index, Manifest, PackInfo, Source, unpack_checkpoint};
use vitrine_model::CheckpointId;
use vitrine_model::sandbox::WORKSPACE;
use vitrine_model::wire::Object;

/// Largest manifest that is read: of millions of files.
const MANIFEST_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Packs that are brought at once, of up to nine mebibytes each.
const PACKS_AT_ONCE: usize = 4;
/// How long the server may take to send one object.
const OBJECT_LIMIT: Duration = Duration::from_secs(60);

/// The manifest of a checkpoint of the session's organization.
pub(super) async fn manifest(
    publisher: &Publisher,
    folder: &Folder,
    id: &CheckpointId,
) -> Result<Manifest, NoCheckpoint> {
    let object =
        Object::Checkpoint { id: id.clone(), size: 0, sha256: String::new(), packs: Vec::new(), workspace_bytes: 0 };
    let bytes = object_bytes(publisher, folder, object, MANIFEST_BYTES_MAX).await.map_err(NoCheckpoint::because)?;
    Manifest::decode(&bytes).map_err(|error| NoCheckpoint(format!("could not {error}")))
}

/// The tree of a checkpoint, unpacked on this machine.
pub(super) async fn tree(shared: &Shared, folder: &Folder, id: &CheckpointId) -> Result<Arc<Tree>, NoCheckpoint> {
    let trees: &Trees = &shared.trees;
    let tree = trees.get(id, |place| async move {
        let manifest = manifest(&shared.publisher, folder, id).await?;
        let tree = place.tree(manifest.content_bytes());
        let path = tree.path.clone();
        with_packs(shared, folder, manifest, move |manifest, source| unpack_checkpoint(&path, manifest, source))
            .await?;
        Ok(tree)
    });
    let tree = tree.await?;
    if let Err(error) = trees.trim(&shared.run_files) {
        tracing::warn!(%error, "could not remove checkpoints that nobody uses here");
    }
    Ok(tree)
}

/// Unpacks a checkpoint that was made here, for its first fork; when many wait for that already, the fork does it.
pub(super) fn expect_forks(shared: &Arc<Shared>, folder: &Arc<Folder>, id: &CheckpointId) {
    let Ok(place) = shared.trees.expected.clone().try_acquire_owned() else { return };
    let (shared, folder, id) = (shared.clone(), folder.clone(), id.clone());
    let tasks = shared.clone();
    tasks.serve(async move {
        let _place = place;
        let _turn = shared.trees.unpacking.lock().await;
        if let Err(error) = tree(&shared, &folder, &id).await {
            tracing::debug!(%error, "a checkpoint is unpacked when it is forked");
        }
    });
}

impl Sandbox {
    /// Replaces the workspace by what a checkpoint holds, whoever waits for it.
    pub(crate) async fn restore(self: &Arc<Self>, shared: &Arc<Shared>, id: CheckpointId) -> Result<(), NoCheckpoint> {
        let (tell, told) = oneshot::channel();
        let (sandbox, with) = (self.clone(), shared.clone());
        shared.serve(async move {
            // Whoever waited may have left.
            let _ = tell.send(sandbox.replace_workspace(&with, &id).await);
        });
        told.await.unwrap_or_else(|_| Err(NoCheckpoint("the machine stops".into())))
    }

    async fn replace_workspace(&self, shared: &Shared, id: &CheckpointId) -> Result<(), NoCheckpoint> {
        let mut base = self.base.lock().await;
        let manifest = manifest(&shared.publisher, &self.folder, id).await?;
        let index = Index::of(&manifest);
        let files = self.capsule().files().map_err(|error| NoCheckpoint(format!("could not {error}")))?;
        let restore = move |manifest: &Manifest, source: Source<'_>| files.restore(WORKSPACE, manifest, source);
        with_packs(shared, &self.folder, manifest, restore).await?;
        *base = Base::Known(id.clone(), index);
        Ok(())
    }
}

/// Works with a checkpoint on a thread of its own, to which its packs are brought in the order in which they are used.
async fn with_packs(
    shared: &Shared,
    folder: &Folder,
    manifest: Manifest,
    work: impl FnOnce(&Manifest, Source<'_>) -> Result<(), CheckpointError> + Send + 'static,
) -> Result<(), NoCheckpoint> {
    let (publisher, requests) = (&shared.publisher, shared.publisher.requests(folder));
    let packs: Vec<PackInfo> = manifest.packs().to_vec();
    let bring = |pack: PackInfo| {
        let request = requests(Object::Pack { sha256: pack.fingerprint.to_string(), size: pack.bytes });
        async move {
            let brought = async {
                let body = publisher.get(&request).await.map_err(io::Error::other)?;
                bytes(body, usize::try_from(pack.bytes).unwrap_or(usize::MAX)).await
            };
            (pack, brought.await)
        }
    };
    let (to, mut from) = mpsc::channel(1);
    let bringing = async move {
        let mut brought = stream::iter(packs).map(bring).buffered(PACKS_AT_ONCE);
        while let Some(pack) = brought.next().await {
            // Whoever asked says himself why he wants no more.
            if to.send(pack).await.is_err() {
                return;
            }
        }
    };
    let working = aside(move || {
        let source = &mut |wanted: &PackInfo| {
            // One of which no file uses anything is not wanted.
            while let Some((pack, bytes)) = from.blocking_recv() {
                if pack == *wanted {
                    return bytes;
                }
            }
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there are no more packs"))
        };
        work(&manifest, source)
    });
    let ((), worked) = tokio::join!(bringing, working);
    worked.map_err(NoCheckpoint::because)?.map_err(|error| NoCheckpoint(format!("could not {error}")))
}

async fn object_bytes(publisher: &Publisher, folder: &Folder, object: Object, bytes_max: usize) -> io::Result<Vec<u8>> {
    let body = publisher.get(&publisher.request(folder, object)).await.map_err(io::Error::other)?;
    bytes(body, bytes_max).await
}

async fn bytes(body: Option<Body>, bytes_max: usize) -> io::Result<Vec<u8>> {
    let body = body.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the server does not have it"))?;
    let whole = timeout(OBJECT_LIMIT, Limited::new(body, bytes_max).collect()).await?;
    Ok(whole.map_err(io::Error::other)?.to_bytes().to_vec())
}
