//! Drivers by OCI runtimes: `runc`, `crun`, and gVisor's `runsc`, which is a second kernel.
//!
//! A runtime gets the same root, network, limits and ids as a capsule of the native driver, and the same process 1,
//! which applies the same system call filter; so everything above the driver is the same. What a runtime lacks it says
//! ([`Runtime::lacks`]); a runtime that fails is an error, never a reason to take another.
//!
//! Machines that a runtime starts for itself (Kata) do not fit: their packets do not pass the output rules of our
//! network namespace, so nothing would lead them to the egress.

mod config;

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags};
use sha2::{Digest, Sha256};
use tokio::process::Command;
use vitrine_init::{Container, Control, KEEPER, Plan};

use crate::cgroup::Group;
use crate::error::Doing;
use crate::{CapsuleError, launch};

/// What a runtime takes to forget a container; it has nothing to end any more.
const DELETE_DEADLINE: Duration = Duration::from_secs(10);

/// An OCI runtime that the operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The driver's name: lower-case letters, digits and hyphens, other than [`crate::NATIVE`].
    pub name: String,
    /// Its absolute path.
    pub program: PathBuf,
    pub kind: RuntimeKind,
}

/// Whose command line it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeKind {
    Runc,
    Crun,
    /// gVisor.
    Runsc,
}

impl RuntimeKind {
    /// All kinds.
    pub const ALL: [RuntimeKind; 3] = [RuntimeKind::Runc, RuntimeKind::Crun, RuntimeKind::Runsc];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            RuntimeKind::Runc => "runc",
            RuntimeKind::Crun => "crun",
            RuntimeKind::Runsc => "runsc",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<RuntimeKind> {
        RuntimeKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            RuntimeKind::Runc => &[],
            // Its programs are in the capsule's cgroups from birth; it refuses to manage them on hybrid machines.
            RuntimeKind::Crun => &["--cgroup-manager=disabled"],
            // Its own network stack would bypass the output rules of our namespace, which is what it takes for the host's.
            // Files are shared since the host writes them too; the overlay is ours.
            RuntimeKind::Runsc => {
                &["--network=host", "--overlay2=none", "--file-access=shared", "--host-uds=create", "--ignore-cgroups"]
            }
        }
    }

    pub(crate) fn control(self) -> Control {
        match self {
            RuntimeKind::Runc | RuntimeKind::Crun => Control::Inherited,
            RuntimeKind::Runsc => Control::Folder,
        }
    }
}

impl Runtime {
    /// What capsules of this driver cannot do, in words of the API.
    pub fn lacks(&self) -> &'static [&'static str] {
        match self.kind {
            RuntimeKind::Runc | RuntimeKind::Crun => &[],
            // Its kernel gives no descriptor to a process outside.
            RuntimeKind::Runsc => &["terminals"],
        }
    }
}

/// The runtimes of one driver, and the folder of what they remember.
#[derive(Debug, Default)]
pub(crate) struct Runtimes {
    known: Vec<Runtime>,
    directory: PathBuf,
    init: PathBuf,
}

impl Runtimes {
    /// `directory` is theirs alone.
    pub fn new(known: Vec<Runtime>, directory: PathBuf) -> Result<Self, CapsuleError> {
        if known.is_empty() {
            return Ok(Self::default());
        }
        for runtime in &known {
            crate::spec::check_id(&runtime.name)?;
            DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(directory.join(&runtime.name))
                .doing(|| format!("make a folder for {}", runtime.name))?;
        }
        let init = program(&directory).doing(|| "write the program of process 1".into())?;
        Ok(Self { known, directory, init })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|runtime| runtime.name.as_str())
    }

    pub fn all(&self) -> &[Runtime] {
        &self.known
    }

    pub fn find(&self, name: &str) -> Result<&Runtime, CapsuleError> {
        let there = || std::iter::once(crate::NATIVE).chain(self.names()).collect::<Vec<_>>().join(", ");
        let known = self.known.iter().find(|runtime| runtime.name == name);
        known.ok_or_else(|| CapsuleError::NoDriver { asked: name.to_owned(), there: there() })
    }

    /// What the helper needs in order to have `runtime` make the capsule of this plan.
    pub fn container(&self, runtime: &Runtime, id: &str, plan: &Plan, groups: &str) -> Container {
        let control = runtime.kind.control();
        let preserve = (control == Control::Inherited).then(|| "--preserve-fds=1".to_owned());
        Container {
            id: id.to_owned(),
            runtime: runtime.program.clone(),
            options: self.options(runtime),
            run_options: preserve.into_iter().collect(),
            config: config::config(plan, groups, control).to_string(),
            init: self.init.clone(),
            control,
            groups_by_runtime: runtime.kind == RuntimeKind::Runc,
        }
    }

    /// Make the runtime forget a container whose processes are gone; one that it does not know is no error.
    pub async fn forget(&self, runtime: &Runtime, id: &str) -> Result<(), CapsuleError> {
        let what = || format!("make {} forget capsule {id}", runtime.name);
        if !remembers(&self.directory.join(&runtime.name), id).doing(what)? {
            return Ok(());
        }
        let mut command = Command::new(&runtime.program);
        command.args(self.options(runtime)).args(["delete", "--force", id]).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let output = tokio::time::timeout(DELETE_DEADLINE, command.output()).await;
        let output = output.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).doing(what)?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(io::Error::other(words)).doing(what)
    }

    fn options(&self, runtime: &Runtime) -> Vec<String> {
        let own = runtime.kind.options().iter().map(|option| (*option).to_owned());
        // A second kernel's is in the bundle, which goes with the keeper.
        let state = (runtime.kind.control() == Control::Inherited)
            .then(|| ["--root".to_owned(), self.directory.join(&runtime.name).to_string_lossy().into_owned()]);
        state.into_iter().flatten().chain(own).collect()
    }
}

/// The keeper of a capsule, by its id and its group: an id alone may have passed to a stranger.
pub(crate) fn keeper(directory: &Path, group: &Group) -> io::Result<OwnedFd> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let id = fs::read_to_string(directory.join(KEEPER))?.trim().parse().ok();
    let id = id.and_then(Pid::from_raw).ok_or_else(gone)?;
    let process = rustix::process::pidfd_open(id, PidfdFlags::NONBLOCK)?;
    if group.members().contains(&id) { Ok(process) } else { Err(gone()) }
}

/// Whether the folder has something named after the container.
fn remembers(state: &Path, id: &str) -> io::Result<bool> {
    let named_after = |name: &OsStr| {
        let rest = name.to_str().and_then(|name| name.strip_prefix(id));
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-'))
    };
    for entry in fs::read_dir(state)? {
        if named_after(&entry?.file_name()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The helper as a file, named after its content: containers of an earlier version keep theirs.
fn program(directory: &Path) -> io::Result<PathBuf> {
    let hash: String = Sha256::digest(launch::PROGRAM).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let path = directory.join(format!("init-{hash}"));
    if !path.exists() {
        let draft = directory.join(format!("init-{hash}.{}", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(&draft)?;
        io::Write::write_all(&mut file, launch::PROGRAM)?;
        drop(file);
        fs::rename(&draft, &path)?;
    }
    Ok(path)
}
