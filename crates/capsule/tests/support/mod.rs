//! A driver of its own for each test, on real images, that proves to have left nothing.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::AsyncReadExt;
use vitrine_capsule::image::{Definition, Settings, Store};
use vitrine_capsule::{
    Capsule, Exec, Exit, Limits, NATIVE, Native, NativeConfig, Profile, Runtime, RuntimeKind, Spec, Stdio, User,
};

pub const MIB: u64 = 1024 * 1024;
const SLOTS: u32 = 16;

pub struct Machine {
    pub native: Native,
    pub rootfs: PathBuf,
    pub config: NativeConfig,
    pub directory: tempfile::TempDir,
}

impl Machine {
    pub async fn new() -> Self {
        Self::with_image("minimal").await
    }

    pub async fn with_image(name: &str) -> Self {
        Self::with(name, SLOTS).await
    }

    pub async fn with(image_name: &str, slots_max: u32) -> Self {
        let installed =
            ["/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc", "/usr/bin/runsc"].map(Path::new).into_iter();
        let runtimes: BTreeMap<&str, &Path> = installed
            .filter(|path| path.exists())
            .filter_map(|path| Some((path.file_name()?.to_str()?, path)))
            .collect();
        let runtimes = runtimes.into_iter().map(|(name, path)| runtime(name, path)).collect();
        Self::make(image_name, slots_max, runtimes).await
    }

    /// With these runtimes instead of those that are installed.
    pub async fn with_runtimes(runtimes: &[(&str, &str)]) -> Self {
        let runtimes = runtimes.iter().map(|(name, path)| runtime(name, Path::new(path))).collect();
        Self::make("minimal", SLOTS, runtimes).await
    }

    /// The names of all drivers.
    pub fn drivers(&self) -> Vec<String> {
        let runtimes = self.native.runtimes().iter().map(|runtime| runtime.name.clone());
        std::iter::once(NATIVE.to_owned()).chain(runtimes).collect()
    }

    /// Whether capsules of this driver have a kernel of their own.
    pub fn is_second_kernel(&self, driver: &str) -> bool {
        let runtime = self.native.runtimes().iter().find(|runtime| runtime.name == driver);
        runtime.is_some_and(|runtime| runtime.kind == RuntimeKind::Runsc)
    }

    async fn make(image_name: &str, slots_max: u32, runtimes: Vec<Runtime>) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        let id = std::process::id();
        let config = NativeConfig {
            directory: directory.path().join("capsules"),
            instance: format!("test-{id}"),
            // Tests run side by side, each in a process of its own.
            uid_base: 100_000_000 + (id % 200) * slots_max * 65_536,
            slots_max,
        };
        let native = Native::probe_with(config.clone(), runtimes).await.expect("a driver");
        Self { native, rootfs: image(image_name), config, directory }
    }

    pub fn spec(&self, id: &str, profile: Profile) -> Spec {
        Self::plain_spec(self.rootfs.clone(), id, profile)
    }

    pub fn plain_spec(rootfs: PathBuf, id: &str, profile: Profile) -> Spec {
        Spec {
            id: id.into(),
            driver: NATIVE.into(),
            profile,
            rootfs,
            limits: Limits { memory_bytes: 512 * MIB, pids_max: 512, cpu_weight: 100, cpu_max_millis: None },
            ca_bundle: None,
            hostname: "capsule".into(),
            binds: Vec::new(),
            disk: None,
            label: serde_json::Value::Null,
        }
    }

    pub async fn capsule(&self, id: &str, profile: Profile) -> Capsule {
        self.native.create(self.spec(id, profile)).await.expect("a capsule")
    }

    /// Destroy what is left and prove that nothing is.
    pub async fn finish(self) {
        let report = self.native.sweep(&HashSet::new()).await.expect("a sweep");
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        assert_eq!(self.native.slots_taken(), 0);
        let left: Vec<_> = std::fs::read_dir(&self.config.directory).expect("listed").collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(self.group_folders(), Vec::<PathBuf>::new());
    }

    /// This driver's folder in every hierarchy.
    pub fn group_folders(&self) -> Vec<PathBuf> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
        mounts
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let (point, kind) = (words.nth(1)?, words.next()?);
                kind.starts_with("cgroup").then(|| Path::new(point).join(format!("vitrine-{}", self.config.instance)))
            })
            .filter(|folder| folder.exists())
            .collect()
    }
}

impl Drop for Machine {
    /// After a failed check, end what still runs.
    fn drop(&mut self) {
        let groups_of = |folder: &Path| -> Vec<PathBuf> {
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
        };
        // The frozen do not die.
        for group in self.group_folders().iter().flat_map(|folder| groups_of(folder)) {
            let _ = std::fs::write(group.join("freezer.state"), "THAWED");
        }
        for folder in self.group_folders() {
            let groups = groups_of(&folder);
            for group in groups.iter().filter(|path| path.is_dir()) {
                while let Ok(text) = std::fs::read_to_string(group.join("cgroup.procs"))
                    && !text.is_empty()
                {
                    for pid in text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
                        let _ = rustix::process::kill_process(pid, Signal::KILL);
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                let _ = std::fs::remove_dir(group);
            }
            let _ = std::fs::remove_dir(&folder);
        }
    }
}

fn runtime(name: &str, program: &Path) -> Runtime {
    Runtime { name: name.into(), program: program.into(), kind: RuntimeKind::parse(name).unwrap_or(RuntimeKind::Runc) }
}

fn image(name: &str) -> PathBuf {
    let store = Store::new(std::env::var("VITRINE_IMAGE_DIR").map_or_else(|_| Store::default_directory(), Into::into));
    if let Some(image) = store.find(name).expect("a readable store") {
        return image.rootfs;
    }
    let definition = Definition::embedded(name).expect("a definition");
    store
        .build(&definition, &Settings::default(), &mut |_| std::ops::ControlFlow::Continue(()))
        .expect("an image")
        .rootfs
}

pub struct Output {
    pub exit: Exit,
    pub text: String,
}

/// Run a shell script to its end; standard output and error in one.
pub async fn shell(capsule: &Capsule, user: User, script: &str) -> Output {
    let exec = Exec {
        user,
        stdio: Stdio::Pipes { stdin: false, stdout: true, stderr: false },
        ..Exec::new(["/bin/sh", "-c", &format!("exec 2>&1; {script}")])
    };
    let mut process = capsule.exec(exec).await.expect("a shell");
    let mut text = Vec::new();
    let mut stdout = process.take_stdout().expect("a pipe");
    let read = tokio::time::timeout(Duration::from_secs(60), stdout.read_to_end(&mut text)).await;
    read.expect("the script ends").expect("readable");
    let exit = process.wait().await.expect("an end").exit;
    Output { exit, text: String::from_utf8_lossy(&text).into_owned() }
}
