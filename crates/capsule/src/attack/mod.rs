//! The escape suite: what hostile programs would try, tried by programs of ours in capsules made for it.
//!
//! Promises that a defence that holds is told from an attack that could not be carried out: each attack says at its end
//! that it was carried out, and what got through. Nothing is broken where one succeeds: what is overwritten is
//! overwritten with itself.

mod bounds;
mod files;
mod life;
mod scripts;
mod surroundings;

pub use surroundings::REBOUND;

use std::any::Any;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use vitrine_init::{DiskSpec, Exec, Profile, Stdio, User};

use crate::{Capsule, CapsuleError, Disks, Limits, Native, Spec};

/// What a program in a capsule says when it has got through, before what it got hold of.
const ESCAPED: &str = "ESCAPED";
/// What it says at its end.
const DONE: &str = "DONE";
/// How long one script may take.
const SCRIPT_DEADLINE: Duration = Duration::from_secs(30);
/// How long one attack may take; one that hangs has succeeded.
const ATTACK_DEADLINE: Duration = Duration::from_secs(90);
/// How long the end of a capsule that was overrun may take to be seen.
const END_DEADLINE: Duration = Duration::from_millis(500);
/// The most that is read of a script's output, in bytes.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
const MEMORY_BYTES: u64 = 256 * 1024 * 1024;
const PIDS_MAX: u32 = 64;
/// What a second kernel takes of both for itself.
const SECOND_KERNEL_BYTES: u64 = 256 * 1024 * 1024;
const SECOND_KERNEL_PIDS: u32 = 192;

/// One thing that is tried.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Lower-case words with hyphens.
    pub name: &'static str,
    /// What it tries, in a line.
    pub tries: &'static str,
    means: Means,
}

type Carried<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

#[derive(Clone, Copy, Debug)]
enum Means {
    /// A shell script, run by root and by the ordinary user of one capsule.
    Script(fn() -> String),
    /// What needs the host's side too. An error is what got through.
    Host(for<'a> fn(&'a Ground) -> Carried<'a>),
}

/// How one attack ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub attack: &'static str,
    pub tries: &'static str,
    /// What got through, or why it could not be carried out; nothing when the defence held.
    pub breach: Option<String>,
}

/// Where attacks are carried out.
pub struct Ground {
    native: Native,
    disks: Disks,
    driver: String,
    rootfs: PathBuf,
    furnish: Box<dyn Furnish>,
}

/// Gives a new capsule what else sessions have, such as a way out.
pub trait Furnish: Send + Sync {
    /// The result is kept as long as the capsule.
    fn furnish<'a>(
        &'a self,
        capsule: &'a Capsule,
    ) -> Pin<Box<dyn Future<Output = Result<Furnished, String>> + Send + 'a>>;
}

pub type Furnished = Box<dyn Any + Send + Sync>;

/// Capsules as they are made, without a way out.
pub struct Bare;

impl Furnish for Bare {
    fn furnish<'a>(&'a self, _: &'a Capsule) -> Pin<Box<dyn Future<Output = Result<Furnished, String>> + Send + 'a>> {
        Box::pin(async { Ok(Box::new(()) as Furnished) })
    }
}

/// All attacks, in the order in which they are carried out.
pub fn attacks() -> Vec<Attack> {
    [scripts::ATTACKS, files::ATTACKS, surroundings::ATTACKS, life::ATTACKS, bounds::ATTACKS].concat()
}

impl Ground {
    /// Capsules by this driver with this root file system and a disk each, furnished by `furnish`.
    pub fn new(
        native: Native,
        disks: Disks,
        driver: impl Into<String>,
        rootfs: &Path,
        furnish: impl Furnish + 'static,
    ) -> Self {
        Self { native, disks, driver: driver.into(), rootfs: rootfs.to_owned(), furnish: Box::new(furnish) }
    }

    /// Carry one attack out. Nothing of it is left afterwards.
    pub async fn carry_out(&self, attack: &Attack) -> Outcome {
        let carried = async {
            match attack.means {
                Means::Script(script) => self.run_script(&script()).await,
                Means::Host(carry) => carry(self).await,
            }
        };
        let carried = tokio::time::timeout(ATTACK_DEADLINE, carried).await;
        let late = || Err(format!("it was not over after {} s", ATTACK_DEADLINE.as_secs()));
        let mut breach = carried.unwrap_or_else(|_| late()).err();
        for id in [Self::ID, Self::NEIGHBOUR_ID] {
            if let Err(error) = self.end(id).await {
                breach.get_or_insert(error);
            }
        }
        Outcome { attack: attack.name, tries: attack.tries, breach }
    }

    const ID: &'static str = "attacker";
    const NEIGHBOUR_ID: &'static str = "neighbour";

    async fn run_script(&self, script: &str) -> Result<(), String> {
        let victim = self.attacker().await?;
        // What a script finds out about a kernel of the capsule's own is nobody's secret.
        let script = format!("own_kernel={}\n{script}", if victim.own_kernel { "yes" } else { "" });
        for user in [User::Root, User::Ordinary] {
            victim.holds(user, &script).await.map_err(|breach| format!("as {user:?}: {breach}"))?;
        }
        Ok(())
    }

    async fn end(&self, id: &str) -> Result<(), String> {
        self.native.destroy(id).await.map_err(could_not)?;
        self.disks.remove(id).await.map_err(could_not)
    }

    async fn attacker(&self) -> Result<Victim, String> {
        self.capsule(Self::ID).await
    }

    async fn neighbour(&self) -> Result<Victim, String> {
        self.capsule(Self::NEIGHBOUR_ID).await
    }

    async fn capsule(&self, id: &str) -> Result<Victim, String> {
        let file = self.disks.make(id).await.map_err(could_not)?;
        let spec = Spec {
            id: id.to_owned(),
            driver: self.driver.clone(),
            profile: Profile::Sandbox,
            rootfs: self.rootfs.clone(),
            limits: self.limits(),
            ca_bundle: None,
            hostname: "capsule".into(),
            binds: Vec::new(),
            disk: Some(DiskSpec { file, workspace_lower: None }),
            label: serde_json::Value::Null,
        };
        let capsule = self.native.create(spec).await.map_err(could_not)?;
        let _furnished = self.furnish.furnish(&capsule).await?;
        Ok(Victim { capsule, own_kernel: !self.shares_the_kernel(), _furnished })
    }

    fn limits(&self) -> Limits {
        let limits =
            Limits { memory_bytes: MEMORY_BYTES, pids_max: PIDS_MAX, cpu_weight: 100, cpu_max_millis: Some(1000) };
        match self.shares_the_kernel() {
            true => limits,
            false => Limits {
                memory_bytes: MEMORY_BYTES + SECOND_KERNEL_BYTES,
                pids_max: PIDS_MAX + SECOND_KERNEL_PIDS,
                ..limits
            },
        }
    }

    /// Whether its capsules are processes of this kernel.
    fn shares_the_kernel(&self) -> bool {
        self.native.lacks(&self.driver).is_empty()
    }
}

/// A capsule in which programs attack.
struct Victim {
    capsule: Capsule,
    own_kernel: bool,
    _furnished: Furnished,
}

impl Victim {
    /// Run a script that says [`ESCAPED`] when it got through and [`DONE`] at its end.
    async fn holds(&self, user: User, script: &str) -> Result<(), String> {
        let text = self.output(user, &format!("{script}\necho {DONE}")).await?;
        let found = text.lines().find(|line| line.contains(ESCAPED));
        match found {
            Some(line) => Err(line.trim_start_matches(ESCAPED).trim_start_matches([':', ' ']).to_owned()),
            None if text.trim_end().ends_with(DONE) => Ok(()),
            None => Err(format!("the attack itself failed: {}", text.trim_end().lines().last().unwrap_or_default())),
        }
    }

    /// What a script writes, standard output and error in one.
    async fn output(&self, user: User, script: &str) -> Result<String, String> {
        let exec = Exec {
            user,
            stdio: Stdio::Pipes { stdin: false, stdout: true, stderr: false },
            ..Exec::new(["/bin/sh", "-c", &format!("exec 2>&1\n{script}")])
        };
        let mut process = self.capsule.exec(exec).await.map_err(could_not)?;
        let output = process.take_stdout().ok_or("the script has no output")?;
        let mut text = Vec::new();
        let read = tokio::time::timeout(SCRIPT_DEADLINE, output.take(OUTPUT_BYTES_MAX).read_to_end(&mut text)).await;
        match read {
            Ok(Ok(_)) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(Err(error)) => Err(format!("could not read its output: {error}")),
            Err(_) => Err("a script did not end".into()),
        }
    }

    /// Whether it still does what it is told. One that has overrun its own kernel may be gone with it instead.
    async fn lives(&self) -> Result<(), String> {
        let started = std::time::Instant::now();
        match self.output(User::Root, "echo here").await.as_deref().map(str::trim) {
            Ok("here") if started.elapsed() < Duration::from_secs(5) => Ok(()),
            Ok("here") => Err(format!("it answered after {} ms only", started.elapsed().as_millis())),
            _ if self.has_ended().await => Ok(()),
            Ok(other) => Err(format!("it no longer runs programs: {other}")),
            Err(error) => Err(error.clone()),
        }
    }

    /// Kills all of its programs.
    async fn kill_all(&self) -> Result<(), String> {
        match self.capsule.signal_all(9).await {
            Err(error) if !self.has_ended().await => Err(could_not(error)),
            _ => Ok(()),
        }
    }

    /// Whether it ended with a kernel of its own.
    async fn has_ended(&self) -> bool {
        self.own_kernel && tokio::time::timeout(END_DEADLINE, self.capsule.exited()).await.is_ok()
    }
}

fn could_not(error: CapsuleError) -> String {
    format!("could not {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Definition, Settings, Store};
    use crate::{NATIVE, NativeConfig};
    use std::ops::ControlFlow;

    fn rootfs() -> PathBuf {
        let directory = std::env::var_os("VITRINE_IMAGE_DIR").map_or_else(Store::default_directory, PathBuf::from);
        let definition = Definition::embedded("minimal").expect("a definition");
        let image = Store::new(directory).build(&definition, &Settings::default(), &mut |_| ControlFlow::Continue(()));
        image.expect("an image").rootfs
    }

    #[tokio::test]
    async fn attacks_get_through_where_nothing_holds_them_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = NativeConfig {
            directory: folder.path().join("capsules"),
            instance: format!("undefended-{}", std::process::id()),
            uid_base: 900_000_000,
            slots_max: 2,
        };
        let native = Native::unfiltered(config).await.expect("a driver");
        let disks = Disks::open(folder.path().join("disks"), 64 * 1024 * 1024).expect("disks");
        let ground = Ground::new(native, disks, NATIVE, &rootfs(), Bare);
        for name in ["namespaces", "kernel-calls", "odd-sockets", "terminal-input", "personality"] {
            let attack = attacks().into_iter().find(|attack| attack.name == name).expect("an attack");
            let breach = ground.carry_out(&attack).await.breach.unwrap_or_default();
            assert!(!breach.is_empty() && !breach.contains("the attack itself failed"), "{name}: {breach}");
        }
    }

    #[test]
    fn names_tell_attacks_apart() {
        let names: std::collections::BTreeSet<&str> = attacks().iter().map(|attack| attack.name).collect();
        assert_eq!(names.len(), attacks().len());
    }
}
