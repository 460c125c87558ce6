//! What making capsules takes, whatever runs in them: the driver, their way out, and a list of those that are somebody's.
//!
//! Promises: what was made is destroyed, or is not in [`Capsules::owned`] any more and therefore swept.

use crate::config::{Image, NodeConfig};
use crate::error::StartError;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use vitrine_capsule::{Capsule, CapsuleError, NATIVE, Native, REDIRECT_DNS_PORT, REDIRECT_TCP_PORT};
use vitrine_egress::{Egress, Mode, Outside, Policy, Sockets, Upstream};
use vitrine_model::SchedulingReason;
use vitrine_model::wire::EgressBytes;

/// CPU weight of a session's capsule among its equals.
pub(crate) const CPU_WEIGHT: u32 = 100;
/// CPU weight while a spare one starts: whatever else runs goes first.
pub(crate) const CPU_WEIGHT_SPARE: u32 = 2;
pub(crate) const MEBIBYTE: u64 = 1024 * 1024;
/// Tries to destroy a capsule before it is left to the sweep.
const DESTROY_TRIES: u32 = 5;
/// Between two tries.
const DESTROY_AGAIN: Duration = Duration::from_millis(200);

/// What all makers of capsules share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Capsules {
    pub(crate) driver: Native,
    pub(crate) ca_bundle: Option<PathBuf>,
    outside: Arc<Outside>,
    owned: Arc<Mutex<HashSet<String>>>,
}

impl Capsules {
    pub(crate) fn new(config: &NodeConfig, driver: Native, outside: Arc<Outside>) -> Self {
        Self { driver, ca_bundle: config.ca_bundle.clone(), outside, owned: Arc::default() }
    }

    /// The isolation drivers that work here, the default first: each has made a capsule with the image, once there is one.
    pub(crate) async fn working_drivers(&self, config: &NodeConfig) -> Vec<String> {
        let runtimes = self.driver.runtimes().iter().map(|runtime| runtime.name.as_str());
        let (mut names, default): (Vec<&str>, _) =
            (std::iter::once(NATIVE).chain(runtimes).collect(), &config.sandbox.driver);
        names.sort_by_key(|name| name != default);
        let image = config.image.borrow().clone();
        let Image::Ready { rootfs, .. } = image else { return names.into_iter().map(str::to_owned).collect() };
        let mut working = Vec::new();
        for name in names {
            match self.driver.check_driver(name, &rootfs).await {
                Ok(()) => working.push(name.to_owned()),
                Err(error) => tracing::error!(driver = name, "could not {error}; nothing is confined by this driver"),
            }
        }
        working
    }

    /// Ids of all capsules that are being made, live, or are being destroyed: not for the sweep.
    pub(crate) fn owned(&self) -> HashSet<String> {
        self.lock().clone()
    }

    /// The id of a capsule that is about to be made.
    pub(crate) fn own(&self) -> String {
        let id = crate::clock::unique();
        self.own_again(&id);
        id
    }

    /// A capsule of an earlier node's.
    pub(crate) fn own_again(&self, id: &str) {
        self.lock().insert(id.to_owned());
    }

    /// Opens a capsule's way out, which is the only one.
    pub(crate) async fn egress(
        &self,
        capsule: &Capsule,
        policy: Policy,
        upstream: Upstream,
    ) -> Result<Egress, StartError> {
        let failed = |error: CapsuleError| StartError::failed("open the capsule's egress", error);
        let sockets = Sockets {
            tcp: capsule.network().tcp_listener(REDIRECT_TCP_PORT).await.map_err(failed)?,
            dns: capsule.network().udp_socket(REDIRECT_DNS_PORT).await.map_err(failed)?,
        };
        // Beside the session's folder, out of the capsule's reach; programs remember addresses longer than a node may live.
        let names = capsule.directory().with_file_name("names");
        Egress::start_remembering(self.outside.clone(), sockets, policy, upstream, &names)
            .map_err(|error| StartError::failed("start the capsule's egress", error))
    }

    /// Destroys a capsule, whatever state it is in; what resists is left to the sweep.
    pub(crate) async fn destroy(&self, id: &str) {
        for attempt in 1..=DESTROY_TRIES {
            match self.driver.destroy(id).await {
                Ok(()) => break,
                Err(error) if attempt < DESTROY_TRIES => {
                    tracing::warn!(capsule = id, %error, attempt, "could not destroy a capsule yet");
                    tokio::time::sleep(DESTROY_AGAIN * attempt).await;
                }
                Err(error) => {
                    tracing::error!(capsule = id, %error, "could not destroy a capsule; the sweep will try again each minute");
                }
            }
        }
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Root file system and environment of an image that is there.
pub(crate) fn ready(image: &watch::Receiver<Image>) -> Result<(PathBuf, Vec<(String, String)>), StartError> {
    let missing = |message| StartError { reason: SchedulingReason::ImageMissing, message };
    match &*image.borrow() {
        Image::Ready { rootfs, .. } if !rootfs.is_dir() => {
            Err(missing(format!("{} was removed; run `vitrine image build`", rootfs.display())))
        }
        Image::Ready { rootfs, environment } => Ok((rootfs.clone(), environment.clone())),
        Image::Missing { message } => Err(missing(message.clone())),
    }
}

/// Nothing leaves a capsule that nobody has been given yet.
pub(crate) fn closed() -> Policy {
    Policy { mode: Mode::None, ..Policy::default() }
}

/// What went through an egress so far.
pub(crate) fn bytes(egress: &Egress) -> EgressBytes {
    let counters = egress.counters();
    EgressBytes { bytes_in: counters.bytes_in, bytes_out: counters.bytes_out }
}
