//! A running capsule, as its owner sees it.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::unix::AsyncFd;
use vitrine_init::{CONTROL, Call, Exec, ExecState, Profile, SESSION, Whom};

use crate::cgroup::Group;
use crate::client::Client;
use crate::error::Doing;
use crate::sys;
use crate::{CapsuleError, Limits, Native, Network, Process, Record, Usage};

/// Cheap to clone. Dropping it leaves the capsule alone: it ends by [`Capsule::destroy`] or with its process 1.
#[derive(Clone, Debug)]
pub struct Capsule {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    native: Native,
    record: Mutex<Record>,
    id: String,
    folder: PathBuf,
    session: PathBuf,
    group: Group,
    client: Client,
    network: Network,
    init: AsyncFd<Arc<OwnedFd>>,
}

impl Capsule {
    /// Connect to a capsule whose process 1 runs.
    pub(crate) async fn connect(native: &Native, record: Record, directory: PathBuf) -> Result<Self, CapsuleError> {
        let (client, init) = Client::connect(&directory.join(CONTROL)).await?;
        // A second kernel's sockets belong to its own helpers, not to whoever has the network and the root.
        let init = native.keeper(&record)?.unwrap_or(init);
        let init = Arc::new(init);
        let network = Network::new(Arc::clone(&init), native.visitor());
        let init = sys::watch(init).doing(|| "watch the capsule's init".into())?;
        let group = native.group(&record.id);
        client.set_frozen(group.is_frozen()?);
        let inner = Inner {
            native: native.clone(),
            id: record.id.clone(),
            group,
            session: directory.join(SESSION),
            record: Mutex::new(record),
            folder: directory,
            client,
            network,
            init,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub fn id(&self) -> &str {
        &self.inner.id
    }

    pub fn profile(&self) -> Profile {
        self.record().profile
    }

    /// The first host id of its range: a program's uid 1000 is this plus 1000 on the host.
    pub fn uid_base(&self) -> u32 {
        self.record().uid_base
    }

    /// The host's path of what the capsule sees as `/session`, with the folders `profile`, `tmp`, `downloads` and
    /// `uploads`. Hostile programs write there: once one has run, its names are used through [`Capsule::files`] only.
    pub fn directory(&self) -> &Path {
        &self.inner.session
    }

    /// The host's ids of its processes.
    pub(crate) fn members(&self) -> Vec<rustix::process::Pid> {
        self.inner.group.members()
    }

    pub(crate) fn init(&self) -> &OwnedFd {
        self.inner.init.get_ref()
    }

    /// Whether its driver cannot do this, in words of the API: see [`crate::Runtime::lacks`].
    pub fn lacks(&self, what: &str) -> bool {
        self.inner.native.lacks(&self.record().driver).contains(&what)
    }

    pub fn network(&self) -> &Network {
        &self.inner.network
    }

    /// What is written about it.
    pub fn record(&self) -> Record {
        self.inner.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replace the caller's own words in the record, on disk before this returns.
    pub fn set_label(&self, label: serde_json::Value) -> Result<(), CapsuleError> {
        let mut record = self.inner.record.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Record { label, ..record.clone() };
        new.write(&self.inner.folder)?;
        *record = new;
        Ok(())
    }

    /// Start a program. Dropped before it returns, the program does not run on.
    pub async fn exec(&self, exec: Exec) -> Result<Process, CapsuleError> {
        Process::start(self.inner.client.clone(), exec).await
    }

    /// A program that was started earlier, perhaps by an earlier life of this process; with its terminal but without its
    /// pipes.
    pub async fn attach(&self, exec: u64) -> Result<Process, CapsuleError> {
        Process::attach(self.inner.client.clone(), exec).await
    }

    /// The programs that run, and the last of those that ended.
    pub async fn execs(&self) -> Result<Vec<ExecState>, CapsuleError> {
        self.inner.client.list().await
    }

    /// Signal every process but the first.
    pub async fn signal_all(&self, signal: i32) -> Result<(), CapsuleError> {
        self.inner.client.order(Call::Kill { whom: Whom::Everybody, signal }, Vec::new()).await
    }

    /// Stop every process where it is, the first too; returns when nobody runs any more. Programs that are followed go on
    /// being followed, and everything that needs process 1 is refused with [`CapsuleError::Frozen`].
    pub async fn freeze(&self) -> Result<(), CapsuleError> {
        self.inner.client.set_frozen(true);
        let frozen = self.inner.group.freeze().await;
        self.inner.client.set_frozen(frozen.is_ok());
        frozen
    }

    /// Let everybody go on as if nothing had happened.
    pub fn thaw(&self) -> Result<(), CapsuleError> {
        self.inner.group.thaw()?;
        self.inner.client.set_frozen(false);
        Ok(())
    }

    /// Whether it was frozen, perhaps by an earlier life of this process.
    pub fn is_frozen(&self) -> bool {
        self.inner.client.is_frozen()
    }

    /// Takes effect at once.
    pub fn set_limits(&self, limits: &Limits) -> Result<(), CapsuleError> {
        limits.validate()?;
        self.inner.group.limit(limits)
    }

    pub fn usage(&self) -> Result<Usage, CapsuleError> {
        self.inner.group.usage()
    }

    /// How many of its processes the kernel has killed for want of memory.
    pub fn oom_kills(&self) -> Result<u64, CapsuleError> {
        self.inner.group.oom_kills()
    }

    /// Resolves when process 1 is gone, and everything with it.
    pub fn exited(&self) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let inner = Arc::clone(&self.inner);
        async move { inner.init.readable().await.map(drop) }
    }

    /// See [`Native::destroy`].
    pub async fn destroy(&self) -> Result<(), CapsuleError> {
        self.inner.native.destroy(&self.inner.id).await
    }
}
