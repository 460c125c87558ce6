//! A capsule with a disk and a way out: what a sandbox session is made of.
//!
//! Promises: it is made for one session and never used for a second.

use crate::capsules::{self, CPU_WEIGHT, CPU_WEIGHT_SPARE, Capsules, MEBIBYTE, closed};
use crate::config::{Image, NodeConfig};
use crate::error::{NodeError, StartError};
use crate::pool::{Make, Urgency, Warm};
use crate::run_file::{KeptSandbox, RunFiles};
use futures_util::FutureExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use vitrine_capsule::{Capsule, CapsuleError, DiskSpec, Disks, Limits, Profile, Spec};
use vitrine_egress::{Egress, Policy, Upstream};
use vitrine_model::sandbox::Size;
use vitrine_model::wire::EgressBytes;
use vitrine_model::{SandboxSpec, SchedulingReason};

/// Processes and threads of one sandbox: builds and test suites take some thousands.
const PIDS_MAX: u32 = 4096;
/// How long the last capsule of a disk may take to let go of it: a killed one still writes what its programs wrote.
const DISK_FREE_LIMIT: Duration = Duration::from_secs(10);
/// Disks that are ready before a sandbox needs them: as many as are started at once.
const SPARE_DISKS: usize = 4;
/// What programs see as the machine's name.
const HOSTNAME: &str = "sandbox";

/// How a sandbox differs from those in the pool.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// The image with LibreOffice.
    pub(crate) documents: bool,
    /// Another driver than the machine's default.
    pub(crate) driver: Option<String>,
    /// A disk that the session left here before, by name.
    pub(crate) disk: Option<String>,
    /// What the workspace begins as.
    pub(crate) lower: Option<PathBuf>,
}

impl Wish {
    /// Whether one of the pool will do.
    pub(crate) fn is_usual(&self) -> bool {
        !self.documents && self.driver.is_none() && self.disk.is_none() && self.lower.is_none()
    }
}

/// Makes and adopts sandboxes.
#[derive(Clone)]
pub(crate) struct Maker {
    capsules: Capsules,
    pub(crate) disks: Disks,
    driver: String,
    image: watch::Receiver<Image>,
    documents: watch::Receiver<Image>,
}

/// A capsule whose process 1 answers.
pub(crate) struct SandboxCapsule {
    pub(crate) capsule: Capsule,
    pub(crate) egress: Egress,
    /// The image's.
    pub(crate) environment: Vec<(String, String)>,
    /// The name of its disk.
    pub(crate) disk: String,
    /// Whether the disk was there before it.
    resumed: bool,
    maker: Maker,
}

impl Make for Maker {
    type Made = SandboxCapsule;
    type Wish = Wish;
    const WHAT: &'static str = "sandbox";

    async fn make(&self, urgency: Urgency, wish: &Wish) -> Result<SandboxCapsule, StartError> {
        let (rootfs, environment) = capsules::ready(self.image(wish.documents))?;
        let id = self.capsules.own();
        let (disk, file) = self.disk(wish).await?;
        let made = self.make_on_disk(&id, urgency, wish, (disk.clone(), file), (rootfs, environment)).await;
        if made.is_err() {
            self.capsules.destroy(&id).await;
            if wish.disk.is_none() {
                self.remove_disk(&disk).await;
            }
        }
        made
    }

    fn tells_of_the_machine(wish: &Wish) -> bool {
        wish.is_usual()
    }
}

impl Maker {
    pub(crate) fn new(config: &NodeConfig, capsules: Capsules) -> Result<Self, NodeError> {
        let disks = Disks::open(config.data_dir.join("disks"), config.sandbox.disk_bytes)?;
        let (image, documents) = (config.image.clone(), config.sandbox.documents.clone());
        Ok(Self { capsules, disks, driver: config.sandbox.driver.clone(), image, documents })
    }

    /// Has spare disks ready until told to stop: a session that starts does not wait for one.
    pub(crate) async fn keep_disks(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.disks.keep_spare(SPARE_DISKS)).await;
        if let Err(error) = self.disks.remove_spare() {
            tracing::warn!(%error, "a spare disk is left to the next start's sweep");
        }
    }

    /// The name of a disk that nobody else has, and where it is.
    async fn disk(&self, wish: &Wish) -> Result<(String, PathBuf), StartError> {
        let failed = |error: CapsuleError| StartError::failed("make the sandbox's disk", error);
        let Some(name) = &wish.disk else { return self.disks.take().await.map_err(failed) };
        let file = self.disks.find(name).map_err(failed)?.ok_or_else(gone)?;
        if timeout(DISK_FREE_LIMIT, self.disks.free(name)).await.is_err() {
            tracing::warn!(disk = name, "the last capsule of a disk still has it");
        }
        Ok((name.clone(), file))
    }

    async fn make_on_disk(
        &self,
        id: &str,
        urgency: Urgency,
        wish: &Wish,
        (disk, file): (String, PathBuf),
        (rootfs, environment): (PathBuf, Vec<(String, String)>),
    ) -> Result<SandboxCapsule, StartError> {
        let spec = Spec {
            id: id.to_owned(),
            driver: wish.driver.as_ref().unwrap_or(&self.driver).clone(),
            profile: Profile::Sandbox,
            rootfs,
            limits: limits(if urgency == Urgency::Now { CPU_WEIGHT } else { CPU_WEIGHT_SPARE }),
            ca_bundle: self.capsules.ca_bundle.clone(),
            hostname: HOSTNAME.into(),
            binds: Vec::new(),
            disk: Some(DiskSpec { file, workspace_lower: wish.lower.clone() }),
            label: serde_json::Value::Null,
        };
        let capsule = self.capsules.driver.create(spec).await;
        let capsule = capsule.map_err(|error| StartError::failed("create a capsule", error))?;
        let egress = self.capsules.egress(&capsule, closed(), Upstream::Closed).await?;
        let resumed = wish.disk.is_some();
        Ok(SandboxCapsule { capsule, egress, environment, disk, resumed, maker: self.clone() })
    }

    /// Removes every disk that neither a run nor a pool owns.
    pub(crate) async fn sweep(&self, run_files: &RunFiles) {
        let runs = match run_files.read_all() {
            Ok(runs) => runs,
            Err(error) => return tracing::error!(%error, "could not read what runs there are; no disk is swept"),
        };
        let keep = runs.iter().filter_map(|run| Some(run.sandbox()?.disk.clone())).collect();
        match self.disks.sweep(&keep).await {
            Ok(swept) => {
                if !swept.removed.is_empty() {
                    tracing::info!(disks = ?swept.removed, "swept disks that nobody owned");
                }
                for (disk, error) in swept.failed {
                    tracing::warn!(disk, %error, "could not remove a disk that nobody owns; it is tried again in a minute");
                }
            }
            Err(error) => tracing::error!(%error, "could not look for disks that nobody owns"),
        }
    }

    /// Removes a disk that is not needed any more.
    pub(crate) async fn remove_disk(&self, name: &str) {
        if let Err(error) = self.disks.remove(name).await {
            tracing::warn!(disk = name, %error, "could not remove a disk; the sweep will try again each minute");
        }
    }

    fn image(&self, documents: bool) -> &watch::Receiver<Image> {
        if documents { &self.documents } else { &self.image }
    }

    /// A capsule that outlived its node, with what runs in it.
    pub(crate) async fn adopt(
        &self,
        id: &str,
        kept: &KeptSandbox,
        spec: &SandboxSpec,
        upstream: Upstream,
    ) -> Result<SandboxCapsule, StartError> {
        self.capsules.own_again(id);
        let adopted = async {
            let failed = |error: CapsuleError| StartError::failed("adopt a capsule", error);
            let capsule = self.capsules.driver.adopt(id).await.map_err(failed)?;
            let egress = self.capsules.egress(&capsule, super::policy(&spec.network)?, upstream).await?;
            let (_, environment) = capsules::ready(self.image(spec.documents))?;
            let disk = kept.disk.clone();
            Ok(SandboxCapsule { capsule, egress, environment, disk, resumed: false, maker: self.clone() })
        };
        let adopted = adopted.await;
        if adopted.is_err() {
            self.capsules.destroy(id).await;
        }
        adopted
    }
}

pub(super) fn gone() -> StartError {
    StartError {
        reason: SchedulingReason::StartFailed,
        message: "the disk of the sandbox is not on this machine".into(),
    }
}

fn limits(cpu_weight: u32) -> Limits {
    let size = Size::Standard;
    Limits {
        memory_bytes: u64::from(size.memory_mb()) * MEBIBYTE,
        pids_max: PIDS_MAX,
        cpu_weight,
        cpu_max_millis: Some(size.cpu_max_millis()),
    }
}

impl Warm for SandboxCapsule {
    fn id(&self) -> &str {
        self.capsule.id()
    }

    fn lives(&self) -> bool {
        self.capsule.exited().now_or_never().is_none()
    }

    /// A disk that was there before stays.
    async fn destroy(&self) {
        self.put_away().await;
        if !self.resumed {
            self.maker.remove_disk(&self.disk).await;
        }
    }
}

impl SandboxCapsule {
    /// Makes it one session's: its limits, its way out.
    pub(crate) fn hand_out(
        &self,
        limit_mb: u32,
        spec: &SandboxSpec,
        policy: Policy,
        upstream: Upstream,
    ) -> Result<(), StartError> {
        let limits = Limits {
            memory_bytes: u64::from(limit_mb) * MEBIBYTE,
            cpu_max_millis: Some(spec.size.cpu_max_millis()),
            ..limits(CPU_WEIGHT)
        };
        self.capsule.set_limits(&limits).map_err(|error| StartError::failed("set a capsule's limits", error))?;
        self.egress.set_upstream(upstream);
        self.egress.set_policy(policy);
        Ok(())
    }

    /// Ends everything in it and removes every trace but its disk.
    pub(crate) async fn put_away(&self) {
        self.maker.capsules.destroy(self.id()).await;
        self.egress.stop().await;
    }

    /// Writes all that it has written to the machine's own disk.
    pub(crate) async fn flush_disk(&self) -> Result<(), CapsuleError> {
        self.capsule.sync_disk().await?;
        self.maker.disks.flush(&self.disk).await
    }

    /// As [`Self::put_away`]; its disk survives a crash of the machine, too.
    pub(crate) async fn store(&self) {
        self.put_away().await;
        if let Err(error) = self.maker.disks.flush(&self.disk).await {
            tracing::warn!(disk = self.disk, %error, "a stored disk would not survive a crash of the machine");
        }
    }

    /// Ends everything in it and removes every trace.
    pub(crate) async fn end(&self) {
        self.put_away().await;
        self.maker.remove_disk(&self.disk).await;
    }

    /// What went through its egress so far.
    pub(crate) fn egress_bytes(&self) -> EgressBytes {
        capsules::bytes(&self.egress)
    }
}
