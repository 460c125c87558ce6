//! A PostgreSQL server of a test's own, from the installed binaries (15 or newer).
//!
//! Its files lie in a folder of their own under the system's temporary folder, it listens on a unix socket there and
//! nowhere else, and it runs as the user `postgres` when the test runs as root (PostgreSQL refuses root). It is stopped and
//! deleted when [`Postgres`] is dropped; what a killed test left behind, the next start sweeps.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Folders are called this, the owner's process id, its start time and a number of the process's own.
const FOLDER_PREFIX: &str = "vitrine-postgres-";
/// The oldest version that the product supports.
const VERSION_MIN: u32 = 15;
/// A test's data is worth nothing after a power failure. Many connections, because tests are many.
const SETTINGS: &str = "-c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=200 \
                        -c shared_buffers=32MB -c max_wal_size=256MB";

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A running server.
pub struct Postgres {
    folder: PathBuf,
    programs: Programs,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts a server; fails when none is installed.
    pub fn start() -> Result<Self> {
        let programs = Programs::find()?;
        programs.sweep();
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{FOLDER_PREFIX}{}-{}-{number}", std::process::id(), start_time("self").unwrap_or_default());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).context("could not make the server's folder")?;
        let postgres = Self { folder, programs, databases: AtomicU32::new(0) };
        if let Some((user, group)) = postgres.programs.run_as {
            chown(&postgres.folder, Some(user), Some(group)).context("could not give the folder to postgres")?;
        }
        let arguments = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"];
        postgres.run("initdb", |command| command.args(arguments).arg(postgres.data()))?;
        postgres.launch()?;
        Ok(postgres)
    }

    /// Makes an empty database; answers its URL.
    pub fn database(&self) -> Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run("createdb", |command| command.arg("-h").arg(&self.folder).args(["-U", "postgres", &name]))?;
        Ok(format!("postgres://postgres@localhost/{name}?host={}", self.folder.display()))
    }

    /// Stops the server as a crash would and starts it again.
    pub fn crash_and_restart(&self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    fn launch(&self) -> Result<()> {
        let settings = format!("{SETTINGS} -k {}", self.folder.display());
        self.run("pg_ctl", |command| {
            command
                .args(["-w", "-l"])
                .arg(self.folder.join("log"))
                .args(["-o", &settings])
                .arg("-D")
                .arg(self.data())
                .arg("start")
        })
    }

    fn stop(&self) -> Result<()> {
        self.run("pg_ctl", |command| command.args(["-w", "-m", "immediate", "-D"]).arg(self.data()).arg("stop"))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
        self.programs.run(program, arguments)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It may not have come up; then there is nothing to stop.
        let _ = self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

struct Programs {
    folder: PathBuf,
    /// The user and group `postgres`, when this process is root.
    run_as: Option<(u32, u32)>,
}

impl Programs {
    fn find() -> Result<Self> {
        let versions =
            fs::read_dir("/usr/lib/postgresql").context("could not find PostgreSQL (apt install postgresql)")?;
        let newest = versions
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
            .max()
            .filter(|version| *version >= VERSION_MIN);
        let Some(version) = newest else { bail!("could not find PostgreSQL {VERSION_MIN} or newer") };
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        let run_as = if is_root { Some(user("postgres")?) } else { None };
        Ok(Self { folder: PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")), run_as })
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
        let mut command = Command::new(self.folder.join(program));
        // The folder of the test may be closed to postgres.
        arguments(&mut command).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = self.run_as {
            command.uid(user).gid(group);
        }
        let status = command.status().with_context(|| format!("could not run {program}"))?;
        ensure!(status.success(), "could not run {program}: {status}");
        Ok(())
    }

    /// Stops and deletes the servers of processes that are gone.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)) else { continue };
            let mut parts = owner.split('-');
            let (process, started) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            if start_time(process).as_deref() != Some(started) {
                // Both fail when another process sweeps it at the same time.
                let _ = self.run("pg_ctl", |command| {
                    command.args(["-w", "-m", "immediate", "-D"]).arg(entry.path().join("data")).arg("stop")
                });
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// When a process started, in ticks since boot: tells it from a later one with the same id.
fn start_time(process: &str) -> Option<String> {
    let stat = fs::read_to_string(Path::new("/proc").join(process).join("stat")).ok()?;
    // The name stands in parentheses and may hold anything; the start time is the 20th field after it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

fn user(name: &str) -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("could not read the users")?;
    let ids = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let user = (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())??;
        Some((user, fields.next()?.parse().ok()?))
    });
    ids.with_context(|| format!("could not find the user {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_leaves_nothing_behind_and_sweeps_what_others_left() -> Result<()> {
        let postgres = Postgres::start()?;
        assert_ne!(postgres.database()?, postgres.database()?);
        let folder = postgres.folder.clone();
        // As if its process had been killed: no process has this start time.
        let orphan = folder.with_file_name(format!("{FOLDER_PREFIX}{}-0-0", std::process::id()));
        postgres.stop()?;
        fs::rename(&folder, &orphan)?;
        let orphaned = Postgres { folder: orphan.clone(), programs: Programs::find()?, databases: AtomicU32::new(0) };
        orphaned.launch()?;
        std::mem::forget(orphaned);
        Programs::find()?.sweep();
        assert!(!orphan.exists());
        drop(postgres);
        assert!(!folder.exists());
        Ok(())
    }
}
