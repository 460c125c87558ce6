//! Makes the root file system of a definition in an empty folder.
//!
//! Programs first (they fail soonest), then Debian by mmdebstrap, which runs `customize.sh` at its end: programs are laid
//! over, the user is made, and every check of the definition must succeed inside. The caller gives the folder and makes
//! the result visible; nothing here is written anywhere else.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::command::{Run, Said, require};
use super::definition::Definition;
use super::{ImageError, apt, programs};

const CUSTOMIZE: &str = include_str!("customize.sh");

/// Documentation stays out, licences stay in, and nothing is flushed file by file; so too for what is installed in a
/// capsule later, which is as short-lived.
const DPKG_OPTIONS: [&str; 6] = [
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
];

/// What an operator can set about building.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where Debian packages come from, in place of this machine's own entries: lines of a `sources.list`.
    pub apt_sources: Vec<String>,
}

/// One thing after another that a build does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Another process builds in the same store.
    Waiting,
    /// Programs from the npm registry.
    Programs,
    /// The lists of what the mirrors have.
    Index,
    /// The packages that every Debian has.
    Base,
    /// The definition's packages with what they need.
    Packages,
    /// The finished image is tried.
    Checks,
    /// Flushed to disk and made visible.
    Saving,
}

/// How far a build is: `done` of `total` units of this step, `total` 0 while unknown.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    pub step: Step,
    pub done: u64,
    pub total: u64,
    /// What is at hand: a package, a check.
    pub item: &'a str,
}

/// Is told of progress (at least five times a second) and may stop the build.
pub(super) type Report<'a> = &'a mut dyn FnMut(Progress<'_>) -> ControlFlow<()>;

/// Builds `folder/rootfs` and returns what the checks printed, by name.
pub(super) fn build(
    definition: &Definition,
    settings: &Settings,
    folder: &Path,
    report: Report<'_>,
) -> Result<BTreeMap<String, String>, ImageError> {
    let work = folder.join("work");
    let (tree, checks, versions) = (work.join("programs"), work.join("checks"), work.join("versions"));
    for directory in [&tree, &checks, &versions] {
        fs::create_dir_all(directory).map_err(ImageError::file("creating", directory))?;
    }
    for (name, line) in &definition.checks {
        write(&checks.join(name), line)?;
    }
    let customize = work.join("customize.sh");
    write(&customize, CUSTOMIZE)?;
    fs::set_permissions(&customize, fs::Permissions::from_mode(0o755))
        .map_err(ImageError::file("marking", &customize))?;

    fetch_programs(definition, &work, &tree, report)?;
    debootstrap(definition, settings, folder, report)?;

    let printed = definition.checks.keys().map(|name| {
        let path = versions.join(name);
        let text = fs::read_to_string(&path).map_err(ImageError::file("reading", &path))?;
        Ok((name.clone(), text.lines().next().unwrap_or_default().to_owned()))
    });
    let printed = printed.collect::<Result<_, ImageError>>()?;
    fs::remove_dir_all(&work).map_err(ImageError::file("removing", &work))?;
    Ok(printed)
}

fn fetch_programs(definition: &Definition, work: &Path, tree: &Path, report: Report<'_>) -> Result<(), ImageError> {
    let total = definition.programs.len() as u64;
    for (done, program) in definition.programs.iter().enumerate() {
        let progress = Progress { step: Step::Programs, done: done as u64, total, item: &program.package };
        if report(progress).is_break() {
            return Err(ImageError::Cancelled);
        }
        let scratch = work.join("scratch");
        fs::create_dir(&scratch).map_err(ImageError::file("creating", &scratch))?;
        programs::fetch(program, &scratch, tree, &mut |_| report(progress))?;
        fs::remove_dir_all(&scratch).map_err(ImageError::file("removing", &scratch))?;
    }
    Ok(())
}

fn debootstrap(
    definition: &Definition,
    settings: &Settings,
    folder: &Path,
    report: Report<'_>,
) -> Result<(), ImageError> {
    let work = folder.join("work");
    let suite = &definition.debian.suite;
    let run = Run {
        program: "mmdebstrap",
        package: "mmdebstrap",
        doing: format!("installing Debian {suite}"),
        advice: "check that this machine's mirrors answer (`apt-get update`) and that the disk has 4 GB free, then try again",
    };
    // Without it mmdebstrap would go on, with no /proc for what it installs.
    require("mount", "mount")?;
    let mut command = run.command()?;
    command.args(["--verbose", "--mode=root", "--variant=apt", "--format=directory"]);
    command.args(DPKG_OPTIONS.map(|option| format!("--dpkgopt={option}")));
    // Package lists stay, compressed, so that `apt-get install` works in a capsule at once.
    command.args(["--skip=cleanup/apt/lists", "--aptopt=Acquire::GzipIndexes \"true\""]);
    command.args(apt::options().iter().map(|option| format!("--aptopt={option}")));
    if !definition.debian.packages.is_empty() {
        command.arg(format!("--include={}", definition.debian.packages.join(",")));
    }
    command.arg(format!("--customize-hook={}", work.join("customize.sh").display()));
    // What it keeps outside the root is swept with the rest when it is killed.
    command.env("TMPDIR", &work).arg(suite).arg(folder.join("rootfs"));
    let sources = match settings.apt_sources.as_slice() {
        [] => apt::sources(suite),
        chosen => chosen.to_vec(),
    };
    command.args(sources);

    let mut installation = Installation::new(definition.checks.len() as u64);
    let finished = run.finish(&mut command, &mut |said| {
        if let Said::Line(line) = said {
            installation.hear(line);
        }
        report(installation.progress())
    });
    finished.map_err(|error| match error {
        ImageError::Program { program, status, output, .. } if installation.step == Step::Checks => {
            let doing = format!("the check `{}` in the finished image", installation.item);
            let advice = "see `[checks]` in the definition for what it runs";
            ImageError::Program { doing, program, status, output, advice }
        }
        other => other,
    })
}

/// Follows what mmdebstrap, apt and dpkg say. A package is three units: fetched, unpacked, set up.
struct Installation {
    step: Step,
    done: u64,
    total: u64,
    checks: u64,
    item: String,
}

impl Installation {
    fn new(checks: u64) -> Installation {
        Installation { step: Step::Index, done: 0, total: 0, checks, item: String::new() }
    }

    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
            ("I:", _) if line.contains("downloading packages") => self.enter(Step::Base, 0),
            ("I:", _) if line.contains("installing remaining packages") => self.enter(Step::Packages, 0),
            ("check:", name) => {
                if self.step != Step::Checks {
                    self.enter(Step::Checks, self.checks);
                } else {
                    self.done += 1;
                }
                name.clone_into(&mut self.item);
            }
            (count, "upgraded,") if count.parse::<u64>().is_ok() => {
                let new = line.split(' ').nth(2).and_then(|count| count.parse::<u64>().ok());
                self.total = 3 * new.unwrap_or(0);
            }
            // "Get:1 MIRROR SUITE ARCHITECTURE PACKAGE …"
            (get, _) if get.starts_with("Get:") && self.step != Step::Index => {
                self.pass(words.nth(2).unwrap_or_default())
            }
            ("Unpacking", package) => self.pass(package),
            ("Setting", "up") => self.pass(words.next().unwrap_or_default()),
            _ => {}
        }
    }

    fn enter(&mut self, step: Step, total: u64) {
        (self.step, self.done, self.total) = (step, 0, total);
        self.item.clear();
    }

    fn pass(&mut self, item: &str) {
        self.done += 1;
        item.clone_into(&mut self.item);
    }

    fn progress(&self) -> Progress<'_> {
        Progress { step: self.step, done: self.done.min(self.total), total: self.total, item: &self.item }
    }
}

fn write(path: &Path, text: &str) -> Result<(), ImageError> {
    fs::write(path, text).map_err(ImageError::file("writing", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_follows_what_the_tools_print() {
        let mut installation = Installation::new(2);
        let mut after = |line: &str| {
            installation.hear(line);
            let Progress { step, done, total, item } = installation.progress();
            (step, done, total, item.to_owned())
        };
        assert_eq!(after("I: running apt-get update..."), (Step::Index, 0, 0, String::new()));
        assert_eq!(
            after("Get:1 http://mirror.test/debian bookworm InRelease [151 kB]"),
            (Step::Index, 0, 0, String::new())
        );
        assert_eq!(after("I: downloading packages with apt..."), (Step::Base, 0, 0, String::new()));
        after("0 upgraded, 89 newly installed, 0 to remove and 0 not upgraded.");
        let fetched = after("Get:2 http://mirror.test/debian bookworm/main amd64 libc6 amd64 2.36-9 [2759 kB]");
        assert_eq!(fetched, (Step::Base, 1, 267, "libc6".to_owned()));
        assert_eq!(after("Setting up libc6:amd64 (2.36-9) ..."), (Step::Base, 2, 267, "libc6:amd64".to_owned()));
        assert_eq!(
            after("I: installing remaining packages inside the chroot..."),
            (Step::Packages, 0, 0, String::new())
        );
        after("check: node");
        assert_eq!(after("check: npm"), (Step::Checks, 1, 2, "npm".to_owned()));
    }
}
