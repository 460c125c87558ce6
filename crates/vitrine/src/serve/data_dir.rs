//! The data folder: one server at a time, keys that only their owner can read, and who this machine is.

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, Mode, flock};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use vitrine_model::api_key::ApiKeySecret;
use vitrine_model::{Entropy, MachineId};

const API_KEY: &str = "api-key";
const OPERATOR_KEY: &str = "operator-key";
const DATABASE: &str = "vitrine.db";
const OBJECTS: &str = "objects";
const MACHINE: &str = "machine-id";
const LOCK: &str = "lock";
const OWNER_ONLY_FILE: u32 = 0o600;
const OWNER_ONLY_FOLDER: u32 = 0o700;

/// The folder, held for as long as this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The kernel lets go of the lock when the process ends, however it ends.
    _lock: File,
}

impl DataDir {
    /// Makes the folder when it is missing and takes it for this process.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        // Folders of capsules are for their users, whatever the mask of whoever started us; what is ours alone says so.
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(OWNER_ONLY_FOLDER).create(path);
        made.with_context(|| format!("could not make the data folder {}", path.display()))?;
        let path = fs::canonicalize(path).with_context(|| format!("could not open {}", path.display()))?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where SQLite keeps its rows.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Where the bytes that sessions leave behind are.
    pub fn objects(&self) -> PathBuf {
        self.path.join(OBJECTS)
    }

    pub fn api_key_file(&self) -> PathBuf {
        self.path.join(API_KEY)
    }

    pub fn operator_key_file(&self) -> PathBuf {
        self.path.join(OPERATOR_KEY)
    }

    /// Puts the first organization's key where its owner finds it.
    pub fn write_api_key(&self, key: &ApiKeySecret) -> anyhow::Result<()> {
        write(&self.api_key_file(), key.reveal())
    }

    /// The operator's key, made at the first start; and whether it was made now.
    pub fn operator_key(&self, entropy: &dyn Entropy) -> anyhow::Result<(ApiKeySecret, bool)> {
        let path = self.operator_key_file();
        if let Some(text) = read(&path)? {
            let key = ApiKeySecret::from_client(&text).filter(ApiKeySecret::is_operator);
            let key = key.with_context(|| {
                format!("{} holds no operator key; remove it to have a new one made", path.display())
            })?;
            return Ok((key, false));
        }
        let key = ApiKeySecret::operator(entropy);
        write(&path, key.reveal())?;
        Ok((key, true))
    }

    /// Who this machine is, the same at every start.
    pub fn machine(&self, entropy: &dyn Entropy) -> anyhow::Result<MachineId> {
        let path = self.path.join(MACHINE);
        match read(&path)? {
            Some(text) => MachineId::parse(&text).with_context(|| format!("{} is damaged", path.display())),
            None => {
                let machine = MachineId::new(entropy);
                write(&path, machine.as_str())?;
                Ok(machine)
            }
        }
    }
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK);
    let opened = File::options().read(true).write(true).create(true).truncate(false).mode(OWNER_ONLY_FILE).open(&path);
    let mut file = opened.with_context(|| format!("could not open {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // Only to name it; who holds the lock is the kernel's word, not the file's.
            let _ = file.read_to_string(&mut holder);
            bail!(
                "another server (process {}) uses the data folder {}; stop it, or give this one another --data-dir",
                holder.trim(),
                folder.display()
            );
        }
        Err(error) => return Err(io::Error::from(error)).with_context(|| format!("could not lock {}", path.display())),
    }
    let noted = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.with_context(|| format!("could not write {}", path.display()))?;
    Ok(file)
}

/// The bare text of a file of ours; none when it is not there.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
    }
}

/// Writes a line so that the file is whole or not there, and never readable by others.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let unfinished = path.with_extension("new");
    let done = || -> io::Result<()> {
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(OWNER_ONLY_FILE).open(&unfinished)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    done().with_context(|| format!("could not write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn entropy() -> impl Entropy {
        |buffer: &mut [u8]| buffer.fill(7)
    }

    #[test]
    fn one_server_at_a_time_and_the_other_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        let held = DataDir::open(&path).unwrap();
        let refused = DataDir::open(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn keys_are_bare_lines_that_only_their_owner_reads_and_stay_the_same() {
        let scratch = tempfile::tempdir().unwrap();
        let data = DataDir::open(scratch.path()).unwrap();
        let (key, made) = data.operator_key(&entropy()).unwrap();
        assert!(made);
        let path = data.operator_key_file();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", key.reveal()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (again, made) = data.operator_key(&|_: &mut [u8]| unreachable!()).unwrap();
        assert!(!made && again == key);
        let machine = data.machine(&entropy()).unwrap();
        assert_eq!(data.machine(&|_: &mut [u8]| unreachable!()).unwrap(), machine);
        fs::write(&path, "br_live_x\n").unwrap();
        assert!(data.operator_key(&entropy()).is_err(), "an API key is no operator key");
    }
}
