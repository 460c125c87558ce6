//! Builds a real image (half a minute, from this machine's mirrors) into a store of its own, after a first builder was
//! killed in the middle of it.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vitrine_capsule::image::{Definition, ImageError, Settings, Step, Store};

/// Set for the builder that is killed: where it builds.
const VICTIM_STORE: &str = "VITRINE_TEST_VICTIM_STORE";

/// How long a killed builder's programs may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// How long the first files of an image may take to appear.
const BEGUN: Duration = Duration::from_secs(120);

#[test]
fn a_killed_builder_leaves_no_process_and_the_next_one_builds_a_whole_image() {
    let definition = Definition::embedded("minimal").unwrap();
    if let Some(directory) = std::env::var_os(VICTIM_STORE) {
        Store::new(directory).build(&definition, &Settings::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let before = temporary();
    kill_a_builder(folder.path());

    let mut stopped_at = Step::Waiting;
    let stopped = store.build(&definition, &Settings::default(), &mut |progress| {
        stopped_at = progress.step;
        if progress.step == Step::Index { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(stopped, Err(ImageError::Cancelled)) && stopped_at == Step::Index);
    assert_eq!(names(folder.path()), ["lock"]);
    assert_eq!(temporary(), before);

    let mut steps = Vec::new();
    let built = store.build(&definition, &Settings::default(), &mut |progress| {
        assert!(progress.total == 0 || progress.done <= progress.total, "{progress:?}");
        if steps.last() != Some(&progress.step) {
            steps.push(progress.step);
        }
        ControlFlow::Continue(())
    });
    let image = built.unwrap();
    assert_eq!(steps, [Step::Index, Step::Base, Step::Packages, Step::Checks, Step::Saving]);
    assert_eq!(names(folder.path()), ["lock".to_owned(), image.id()]);
    assert!(image.versions["debian"].starts_with("12"), "{:?}", image.versions);
    assert_eq!(store.find("minimal").unwrap().unwrap().rootfs, image.rootfs);
    look_inside(&image.rootfs);

    store.remove(&image.id()).unwrap();
    assert_eq!(names(folder.path()), ["lock"]);
}

fn kill_a_builder(store: &Path) {
    let test = "a_killed_builder_leaves_no_process_and_the_next_one_builds_a_whole_image";
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", test]).env(VICTIM_STORE, store).stdout(Stdio::null());
    let mut victim = victim.spawn().unwrap();
    let rootfs = || names(store).iter().any(|name| store.join(name).join("rootfs/usr").exists());
    assert!(until(BEGUN, rootfs), "the builder did not begin");
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(until(GONE, || processes_that_mention(store) == 0), "programs of a killed builder still run");
}

/// What an image must not carry over from the machine that built it, and what every capsule relies on.
fn look_inside(rootfs: &Path) {
    let text = |path: &str| fs::read_to_string(rootfs.join(path)).unwrap();
    assert_eq!((text("etc/resolv.conf"), text("etc/hostname")), (String::new(), "capsule\n".to_owned()));
    assert!(text("etc/passwd").contains("user:x:1000:1000::/home/user:/bin/bash"));
    assert_eq!(fs::metadata(rootfs.join("home/user")).unwrap().uid(), 1000);
    assert_eq!(fs::metadata(rootfs.join("usr/bin/apt")).unwrap().uid(), 0);
    let sources = text("etc/apt/sources.list");
    assert!(sources.contains(" bookworm main") && !sources.contains(['[', '@']), "{sources}");
    assert!(!rootfs.join("etc/apt/apt.conf.d/99mmdebstrap").exists());
    for emptied in ["tmp", "var/log"] {
        assert_eq!(names(&rootfs.join(emptied)), [""; 0], "{emptied}");
    }
    let archives = names(&rootfs.join("var/cache/apt/archives"));
    assert!(archives.iter().all(|name| !name.ends_with(".deb")), "{archives:?}");
}

/// What the builder's tools keep in the system's folder for temporary files.
fn temporary() -> Vec<String> {
    names(&std::env::temp_dir()).into_iter().filter(|name| name.starts_with("mmdebstrap")).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn processes_that_mention(path: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mentions = |entry: &fs::DirEntry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(path.to_str().unwrap())
    };
    processes.filter(mentions).count()
}

fn until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
