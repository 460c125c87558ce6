//! The bytes that sessions leave behind, in a folder or in a bucket of any S3.
//!
//! Assumes that the caller writes an object's key down ([`crate::Store::announce_object`]) before its first byte, and
//! shows it by a row afterwards. Promises that an object is there whole, with the announced size and SHA-256, or not at
//! all; that memory holds one part of it at most; and that keys are made here alone: nothing that a client or a page
//! named is ever part of one.

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::signer::{SignedUrlOptions, Signer as _};
use object_store::{ClientOptions, GetOptions, ObjectStore, ObjectStoreExt as _};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use vitrine_model::id::random_text;
use vitrine_model::{Entropy, Secret, SessionId};

/// Bytes of a part of a large object, and of the largest small one. S3 takes 10,000 parts: 78 GiB.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Random characters of a key: 2^82 of them.
const KEY_CHARS: usize = 16;
/// A bucket that does not take a connection within this time is down.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// A bucket that sends nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Where objects are.
#[derive(Debug, Clone)]
pub enum ObjectsLocation {
    /// A folder, made when it is missing.
    Folder(PathBuf),
    /// A bucket.
    S3(Bucket),
}

/// A bucket of S3, or of what speaks like it.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Without it, that of Amazon's region.
    pub endpoint: Option<String>,
    pub name: String,
    pub region: String,
    pub access_key: String,
    pub secret_key: Secret,
    /// `ENDPOINT/BUCKET/KEY`, as most servers other than Amazon's want it; otherwise `BUCKET.ENDPOINT/KEY`.
    pub path_style: bool,
    /// Without TLS: for a server on the same machine or network.
    pub allow_http: bool,
}

/// What can go wrong between the program and its objects.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("make the folder of objects: {0}")]
    Folder(io::Error),
    #[error("use the object store: {0}")]
    Storage(object_store::Error),
    #[error("find the object")]
    Missing,
    /// Whoever brings it broke off.
    #[error("read the object's bytes: {0}")]
    Body(io::Error),
    #[error("keep the object: its size is not the announced one of {0} bytes")]
    Size(u64),
    #[error("keep the object: its bytes were changed on their way")]
    Hash,
}

impl From<object_store::Error> for ObjectError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => ObjectError::Missing,
            other => ObjectError::Storage(other),
        }
    }
}

/// The name of an object: whose it is, in which generation, and random text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// A new key.
    pub fn new(session: &SessionId, generation: i64, entropy: &dyn Entropy) -> Self {
        Self(format!("{session}/g{generation}/{}", random_text(KEY_CHARS, entropy)))
    }

    /// The key as rows have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn from_row(text: String) -> Self {
        Self(text)
    }

    fn path(&self) -> ObjectPath {
        ObjectPath::from(self.0.as_str())
    }
}

/// What a client that fetches an object from a bucket itself is told of it.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    pub content_type: &'a str,
    pub content_disposition: &'a str,
}

/// The objects. Clones share their connections.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The same, where clients can be sent to it.
    bucket: Option<Arc<AmazonS3>>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.store)
    }
}

impl Objects {
    /// Opens the folder, or gets ready to speak to the bucket.
    pub fn open(location: ObjectsLocation) -> Result<Self, ObjectError> {
        match location {
            ObjectsLocation::Folder(folder) => {
                std::fs::create_dir_all(&folder).map_err(ObjectError::Folder)?;
                let store = LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true).with_fsync(true);
                Ok(Self { store: Arc::new(store), bucket: None })
            }
            ObjectsLocation::S3(bucket) => {
                let bucket = Arc::new(bucket.client()?);
                Ok(Self { store: bucket.clone(), bucket: Some(bucket) })
            }
        }
    }

    /// Keeps an object. Unless every byte came, and they are the announced ones, nothing is kept.
    pub async fn put(
        &self,
        key: &ObjectKey,
        bytes: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
        size: u64,
        sha256: &[u8; 32],
    ) -> Result<(), ObjectError> {
        let mut checked = Checked { bytes, rest: Bytes::new(), announced: size, left: size, hash: Sha256::new() };
        if size <= PART_BYTES as u64 {
            let whole = checked.part().await?;
            checked.end(sha256).await?;
            self.store.put(&key.path(), whole.into()).await?;
            return Ok(());
        }
        let mut upload = self.store.put_multipart(&key.path()).await?;
        let sent = async {
            while checked.left > 0 {
                let part = checked.part().await?;
                upload.put_part(part.into()).await?;
            }
            checked.end(sha256).await
        };
        if let Err(error) = sent.await {
            // What could not be taken back either is a matter of the bucket's own rules.
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "could not take back the parts of an object");
            }
            return Err(error);
        }
        upload.complete().await?;
        Ok(())
    }

    /// An object's bytes, or those of a range that is not empty and lies in it.
    pub async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>, ObjectError> {
        let found = self.store.get_opts(&key.path(), GetOptions::new().with_range(range)).await?;
        Ok(found.into_stream().map_err(io::Error::other).boxed())
    }

    /// Deletes an object; one that is not there is deleted.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        match self.store.delete(&key.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A URL under which anybody can fetch the object for so long; `None` where objects are in a folder.
    pub async fn presigned(
        &self,
        key: &ObjectKey,
        lasts: Duration,
        presented: Presented<'_>,
    ) -> Result<Option<String>, ObjectError> {
        let Some(bucket) = &self.bucket else { return Ok(None) };
        let options = SignedUrlOptions::new().with_query([
            ("response-content-disposition", presented.content_disposition),
            ("response-content-type", presented.content_type),
        ]);
        let url = bucket.signed_url_opts(http::Method::GET, &key.path(), lasts, &options).await?;
        Ok(Some(url.into()))
    }
}

impl Bucket {
    fn client(self) -> Result<AmazonS3, ObjectError> {
        // Once for the process; who comes second finds the first one's, which is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A whole object may take as long as it takes.
        let options = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIME_MAX)
            .with_timeout_disabled()
            .with_read_timeout(SILENCE_MAX);
        let mut builder = AmazonS3Builder::new()
            .with_client_options(options)
            .with_bucket_name(self.name)
            .with_region(self.region)
            .with_access_key_id(self.access_key)
            .with_secret_access_key(self.secret_key.reveal())
            .with_virtual_hosted_style_request(!self.path_style)
            .with_allow_http(self.allow_http);
        if let Some(endpoint) = self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        // Deleting many at once is the one request that servers like S3 leave out.
        Ok(builder.with_disable_bulk_delete(true).build()?)
    }
}

/// Bytes that are counted and hashed as they pass.
struct Checked<S> {
    bytes: S,
    /// What came and belongs to the next part.
    rest: Bytes,
    announced: u64,
    left: u64,
    hash: Sha256,
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Checked<S> {
    /// The next part: full, unless it is the last.
    async fn part(&mut self) -> Result<Bytes, ObjectError> {
        let wanted = self.left.min(PART_BYTES as u64) as usize;
        let mut part = BytesMut::with_capacity(wanted);
        while part.len() < wanted {
            if self.rest.is_empty() {
                self.rest = self.next().await?.ok_or(ObjectError::Size(self.announced))?;
            }
            let taken = self.rest.len().min(wanted - part.len());
            part.extend_from_slice(&self.rest.split_to(taken));
        }
        self.hash.update(&part);
        self.left -= wanted as u64;
        Ok(part.freeze())
    }

    /// Nothing may follow, and all that came must be what was announced.
    async fn end(&mut self, sha256: &[u8; 32]) -> Result<(), ObjectError> {
        while self.rest.is_empty() {
            match self.next().await? {
                Some(more) => self.rest = more,
                None if self.hash.finalize_reset().as_slice() == sha256 => return Ok(()),
                None => return Err(ObjectError::Hash),
            }
        }
        Err(ObjectError::Size(self.announced))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ObjectError> {
        self.bytes.try_next().await.map_err(ObjectError::Body)
    }
}
