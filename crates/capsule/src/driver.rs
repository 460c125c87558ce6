//! The driver: makes capsules, by itself or by an OCI runtime, finds them again, and knows which there are.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use vitrine_init::{Bind, CONTROL, Control, DISK, DiskSpec, Exec, Exit, Order, Plan, Profile, SESSION, USER_ID};

use crate::cgroup::{Group, Hierarchies};
use crate::error::Doing;
use crate::launch::Helper;
use crate::network::Visitor;
use crate::oci::{Runtime, Runtimes};
use crate::slots::Slots;
use crate::{Capsule, CapsuleError, Disks, Limits, Record, Spec, oci, seccomp, spec};

/// The name of the driver that confines by itself.
pub const NATIVE: &str = "native";
/// The uid range of the last slot must stay below the ids that Linux reserves.
const UID_MAX: u64 = u32::MAX as u64 - 1;
/// What the capsule finds in `/session`.
const SESSION_FOLDERS: [&str; 4] = ["profile", "tmp", "downloads", "uploads"];
/// Where Debian and its relatives keep the certificate authorities that are trusted.
const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

#[derive(Clone, Debug)]
pub struct NativeConfig {
    /// Holds one folder for each capsule, and nothing else.
    pub directory: PathBuf,
    /// Keeps the cgroups of several servers on one machine apart.
    pub instance: String,
    /// The first of the host's user ids that capsules may have.
    pub uid_base: u32,
    /// How many capsules there can be at once; each has 65536 ids.
    pub slots_max: u32,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Native {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    hierarchies: Hierarchies,
    helper: Helper,
    runtimes: Runtimes,
    slots: Slots,
    visitor: Visitor,
    browser_filters: Vec<Vec<u64>>,
    sandbox_filters: Vec<Vec<u64>>,
    /// Whoever makes or removes a capsule holds its lock.
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Processes 1 that are our children or may be, to be buried when their capsules go.
    inits: Mutex<HashMap<String, OwnedFd>>,
}

impl Native {
    /// Prepare the machine's folders and look what earlier lives have left. Isolates nothing yet: see [`Self::check`].
    pub async fn probe(config: NativeConfig) -> Result<Self, CapsuleError> {
        Self::probe_with(config, Vec::new()).await
    }

    /// The same with OCI runtimes beside the native driver, which keep what they remember in a folder beside the capsules'.
    pub async fn probe_with(config: NativeConfig, runtimes: Vec<Runtime>) -> Result<Self, CapsuleError> {
        spec::check_id(&config.instance)?;
        if !rustix::process::geteuid().is_root() {
            return Err(CapsuleError::Unsupported("the native driver needs to run as root".into()));
        }
        let last = u64::from(config.uid_base) + u64::from(config.slots_max) * u64::from(vitrine_init::IDS);
        if config.uid_base < vitrine_init::IDS || last > UID_MAX {
            return Err(CapsuleError::Invalid(format!(
                "{} slots from user id {} do not fit",
                config.slots_max, config.uid_base
            )));
        }
        make_directory(&config.directory)?;
        let directory = fs::canonicalize(&config.directory).doing(|| "find the capsules' directory".into())?;
        let taken: BTreeMap<u32, String> =
            records(&directory)?.into_iter().map(|record| (record.slot, record.id)).collect();
        let inner = Inner {
            hierarchies: Hierarchies::probe(&format!("vitrine-{}", config.instance))?,
            helper: Helper::new()?,
            runtimes: Runtimes::new(runtimes, directory.with_file_name("runtimes"))?,
            slots: Slots::new(config.uid_base, config.slots_max, taken),
            visitor: Visitor::start().doing(|| "start the network thread".into())?,
            browser_filters: seccomp::compile(Profile::Browser)?,
            sandbox_filters: seccomp::compile(Profile::Sandbox)?,
            locks: Mutex::default(),
            inits: Mutex::default(),
            directory,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Capsules without a system call filter, to show that attacks get through where nothing holds them off.
    #[cfg(test)]
    pub(crate) async fn unfiltered(config: NativeConfig) -> Result<Self, CapsuleError> {
        let mut native = Self::probe(config).await?;
        if let Some(inner) = Arc::get_mut(&mut native.inner) {
            inner.sandbox_filters.clear();
        }
        Ok(native)
    }

    /// A real capsule with this root file system: made, used, removed.
    pub async fn check(&self, rootfs: &Path) -> Result<(), CapsuleError> {
        self.check_driver(NATIVE, rootfs).await
    }

    /// As [`Self::check`], by the driver of this name.
    pub async fn check_driver(&self, driver: &str, rootfs: &Path) -> Result<(), CapsuleError> {
        self.try_out(driver, rootfs, None).await
    }

    /// As [`Self::check`], with a disk of these.
    pub async fn check_disk(&self, rootfs: &Path, disks: &Disks) -> Result<(), CapsuleError> {
        let (name, file) = disks.take().await?;
        let tried = self.try_out(NATIVE, rootfs, Some(DiskSpec { file, workspace_lower: None })).await;
        disks.remove(&name).await?;
        tried
    }

    async fn try_out(&self, driver: &str, rootfs: &Path, disk: Option<DiskSpec>) -> Result<(), CapsuleError> {
        let number = getrandom::u64().map_err(|error| CapsuleError::Unsupported(error.to_string()))?;
        let id = format!("check-{number:016x}");
        // A second kernel has threads and memory of its own.
        let limits = Limits { memory_bytes: 256 * 1024 * 1024, pids_max: 128, cpu_weight: 100, cpu_max_millis: None };
        let spec = Spec {
            id: id.clone(),
            driver: driver.to_owned(),
            profile: Profile::Sandbox,
            rootfs: rootfs.to_owned(),
            limits,
            ca_bundle: None,
            hostname: "check".into(),
            binds: Vec::new(),
            disk,
            label: serde_json::Value::Null,
        };
        let used = async {
            let capsule = self.create(spec).await?;
            capsule.exec(Exec::new(["/bin/true"])).await?.wait().await
        };
        let used = used.await;
        self.destroy(&id).await?;
        match used?.exit {
            Exit::Code(0) => Ok(()),
            other => Err(CapsuleError::Unsupported(format!("a program in a capsule ended with {other:?}"))),
        }
    }

    /// The OCI runtimes that can be named beside [`NATIVE`].
    pub fn runtimes(&self) -> &[Runtime] {
        self.inner.runtimes.all()
    }

    /// What capsules of this driver cannot do.
    pub(crate) fn lacks(&self, driver: &str) -> &'static [&'static str] {
        self.runtimes().iter().find(|runtime| runtime.name == driver).map_or(&[], Runtime::lacks)
    }

    /// What it fails to make, it removes; what it cannot remove, [`Self::sweep`] will.
    pub async fn create(&self, spec: Spec) -> Result<Capsule, CapsuleError> {
        spec.validate()?;
        self.runtime(&spec.driver)?;
        let lock = self.lock(&spec.id);
        let _held = lock.lock().await;
        let directory = self.directory(&spec.id);
        if directory.exists() || self.group(&spec.id).exists() {
            return Err(CapsuleError::Exists(spec.id));
        }
        let made = self.make(&spec, &directory).await;
        if made.is_err()
            && let Err(error) = self.remove(&spec.id).await
        {
            tracing::warn!(capsule = spec.id, %error, "could not clean up after a failed creation");
        }
        made
    }

    async fn make(&self, spec: &Spec, directory: &Path) -> Result<Capsule, CapsuleError> {
        let (slot, uid_base) = self.inner.slots.take(&spec.id)?;
        let record = Record {
            id: spec.id.clone(),
            driver: spec.driver.clone(),
            profile: spec.profile,
            rootfs: spec.rootfs.clone(),
            slot,
            uid_base,
            disk: spec.disk.as_ref().map(|disk| disk.file.clone()),
            label: spec.label.clone(),
            alive: true,
        };
        make_directory(directory)?;
        // From here on a sweep finds it, whatever happens to this process.
        record.write(directory)?;
        make_folders(directory, uid_base, spec.disk.is_some())?;
        let group = self.group(&spec.id);
        group.create(&spec.limits)?;
        let born = |init| self.remember_init(&spec.id, init);
        let plan = self.plan(spec, directory, &group, uid_base);
        let order = match self.runtime(&spec.driver)? {
            None => Order::Confine(plan),
            Some(runtime) => {
                let container = self.inner.runtimes.container(runtime, &spec.id, &plan, &group.path());
                Order::Contain(plan, container)
            }
        };
        self.inner.helper.confine(&order, born).await?;
        Capsule::connect(self, record, directory.to_owned()).await
    }

    fn plan(&self, spec: &Spec, directory: &Path, group: &Group, uid_base: u32) -> Plan {
        let trust = |bundle: &PathBuf| Bind { source: bundle.clone(), target: CA_BUNDLE.into(), read_only: true };
        let filters = match spec.profile {
            Profile::Browser => &self.inner.browser_filters,
            Profile::Sandbox => &self.inner.sandbox_filters,
        };
        Plan {
            directory: directory.to_owned(),
            rootfs: spec.rootfs.clone(),
            profile: spec.profile,
            uid_base,
            hostname: spec.hostname.clone(),
            groups: group.entrances(),
            binds: spec.ca_bundle.iter().map(trust).chain(spec.binds.iter().cloned()).collect(),
            disk: spec.disk.clone(),
            // What lies there counts as the capsule's memory; half is left for programs.
            shm_bytes: spec.limits.memory_bytes / 2,
            filters: filters.clone(),
        }
    }

    /// Nothing for the driver that needs none.
    fn runtime(&self, driver: &str) -> Result<Option<&Runtime>, CapsuleError> {
        if driver == NATIVE { Ok(None) } else { self.inner.runtimes.find(driver).map(Some) }
    }

    /// The process that holds the network and the root of a capsule whose control socket does not tell it.
    pub(crate) fn keeper(&self, record: &Record) -> Result<Option<OwnedFd>, CapsuleError> {
        match self.runtime(&record.driver)? {
            Some(runtime) if runtime.kind.control() == Control::Folder => {
                let process = oci::keeper(&self.directory(&record.id), &self.group(&record.id));
                process.doing(|| format!("find the keeper of capsule {}", record.id)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Make the runtime of a capsule forget it, whose processes are gone.
    pub(crate) async fn forget(&self, id: &str) -> Result<(), CapsuleError> {
        let Some(record) = Record::read(&self.directory(id)) else { return Ok(()) };
        let Some(runtime) = self.runtime(&record.driver)? else { return Ok(()) };
        self.inner.runtimes.forget(runtime, id).await?;
        self.inner.hierarchies.close_everywhere();
        Ok(())
    }

    /// Find a capsule again that an earlier life of this process made.
    pub async fn adopt(&self, id: &str) -> Result<Capsule, CapsuleError> {
        spec::check_id(id)?;
        let directory = self.directory(id);
        let record = Record::read(&directory).ok_or_else(|| CapsuleError::NotFound(id.to_owned()))?;
        Capsule::connect(self, Record { alive: true, ..record }, directory).await
    }

    /// What is on disk, in the order of ids.
    pub async fn list(&self) -> Result<Vec<Record>, CapsuleError> {
        let mut records = records(&self.inner.directory)?;
        for record in &mut records {
            record.alive = !self.group(&record.id).members().is_empty();
        }
        Ok(records)
    }

    /// How many of the slots are taken, by living capsules or remains.
    pub fn slots_taken(&self) -> usize {
        self.inner.slots.taken()
    }

    pub(crate) fn directory(&self, id: &str) -> PathBuf {
        self.inner.directory.join(id)
    }

    pub(crate) fn capsules_directory(&self) -> &Path {
        &self.inner.directory
    }

    pub(crate) fn group(&self, id: &str) -> Group {
        Group::new(&self.inner.hierarchies, id)
    }

    pub(crate) fn hierarchies(&self) -> &Hierarchies {
        &self.inner.hierarchies
    }

    pub(crate) fn visitor(&self) -> Visitor {
        self.inner.visitor.clone()
    }

    pub(crate) fn release_slot(&self, id: &str) {
        self.inner.slots.release(id);
    }

    /// Keep a descriptor of a capsule's process 1 until [`Self::forget_init`].
    pub(crate) fn remember_init(&self, id: &str, init: OwnedFd) {
        self.inner.inits.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), init);
    }

    pub(crate) fn forget_init(&self, id: &str) -> Option<OwnedFd> {
        self.inner.inits.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    pub(crate) fn lock(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.inner.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(id.to_owned()).or_default())
    }
}

pub(crate) fn make_directory(path: &Path) -> Result<(), CapsuleError> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.doing(|| format!("make {}", path.display()))
}

/// Places to mount at and the control socket's; without a disk, also the overlay's two and what the capsule may write.
fn make_folders(directory: &Path, uid_base: u32, disk: bool) -> Result<(), CapsuleError> {
    let make = |name: &str, mode: u32, owner: u32| {
        let path = directory.join(name);
        let made = DirBuilder::new().mode(mode).create(&path);
        made.and_then(|()| chown(&path, Some(owner), Some(owner))).doing(|| format!("make {}", path.display()))
    };
    for name in ["lower", "root", CONTROL] {
        make(name, 0o700, 0)?;
    }
    if disk {
        return [DISK, "base"].iter().try_for_each(|name| make(name, 0o700, 0));
    }
    make("work", 0o700, 0)?;
    make("upper", 0o755, uid_base)?;
    make(SESSION, 0o755, uid_base + USER_ID)?;
    SESSION_FOLDERS.iter().try_for_each(|name| make(&format!("{SESSION}/{name}"), 0o700, uid_base + USER_ID))
}

fn records(directory: &Path) -> Result<Vec<Record>, CapsuleError> {
    let what = || format!("list {}", directory.display());
    let mut records = Vec::new();
    for entry in fs::read_dir(directory).doing(what)? {
        records.extend(Record::read(&entry.doing(what)?.path()));
    }
    records.sort_by(|one: &Record, other: &Record| one.id.cmp(&other.id));
    Ok(records)
}
