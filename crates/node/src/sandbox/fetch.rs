//! Checkpoints brought to this machine: what a fork begins as, and what a workspace goes back to.

use super::Sandbox;
use super::checkpoint::{Base, NoCheckpoint};
use super::trees::{Tree, Trees};
use crate::link::Body;
use crate::node::Shared;
use crate::spool::{Folder, Publisher};
use http_body_util::{BodyExt, Limited};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;
use vitrine_capsule::checkpoint::{Index, Manifest, PackInfo, unpack_checkpoint};
use vitrine_model::CheckpointId;
use vitrine_model::sandbox::WORKSPACE;
use vitrine_model::wire::Object;

/// Largest manifest that is read: of millions of files.
const MANIFEST_BYTES_MAX: usize = 512 * 1024 * 1024;
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
        let mut source = source(shared.publisher.clone(), folder);
        let path = tree.path.clone();
        let unpack = move || unpack_checkpoint(&path, &manifest, &mut source);
        let unpacked = tokio::task::spawn_blocking(unpack).await.map_err(NoCheckpoint::because)?;
        unpacked.map_err(|error| NoCheckpoint(format!("could not {error}")))?;
        Ok(tree)
    });
    let tree = tree.await?;
    if let Err(error) = trees.trim(&shared.run_files) {
        tracing::warn!(%error, "could not remove checkpoints that nobody uses here");
    }
    Ok(tree)
}

impl Sandbox {
    /// Replaces the workspace by what a checkpoint holds.
    pub(crate) async fn restore(&self, shared: &Shared, id: &CheckpointId) -> Result<(), NoCheckpoint> {
        let mut base = self.base.lock().await;
        let manifest = manifest(&shared.publisher, &self.folder, id).await?;
        let index = Index::of(&manifest);
        let files = self.capsule().files().map_err(|error| NoCheckpoint(format!("could not {error}")))?;
        let mut source = source(shared.publisher.clone(), &self.folder);
        let restore = move || files.restore(WORKSPACE, &manifest, &mut source);
        let restored = tokio::task::spawn_blocking(restore).await.map_err(NoCheckpoint::because)?;
        restored.map_err(|error| NoCheckpoint(format!("could not {error}")))?;
        *base = Base::Known(id.clone(), index);
        Ok(())
    }
}

/// Brings packs to a thread that waits for them.
fn source(publisher: Arc<Publisher>, folder: &Folder) -> impl FnMut(&PackInfo) -> io::Result<Vec<u8>> + Send + use<> {
    let requests = publisher.requests(folder);
    let runtime = Handle::current();
    move |pack: &PackInfo| {
        let size_max = usize::try_from(pack.bytes).unwrap_or(usize::MAX);
        let request = requests(Object::Pack { sha256: pack.fingerprint.to_string(), size: pack.bytes });
        runtime.block_on(async {
            let body = publisher.get(&request).await.map_err(io::Error::other)?;
            bytes(body, size_max).await
        })
    }
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
