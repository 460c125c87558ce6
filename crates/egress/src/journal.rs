//! A session's names on disk, one `address name` a line, oldest first.
//!
//! Programs remember addresses for a minute or longer. When the process that serves a session is replaced while the session
//! lives, its successor reads here what those addresses stand for. The file belongs to the machine's side, but is read as if
//! it did not: what is no line of ours is skipped, the last line may be cut off.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::names::{canonical, is_synthetic};

/// Bytes read of a journal. It never gets that long by itself: [`LINES_MAX`] of the longest lines take less.
const BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Lines until the journal is written afresh.
const LINES_MAX: usize = 16 * 1024;

pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl Journal {
    /// Opens or makes the journal, and gives the names in it.
    pub fn open(path: &Path) -> io::Result<(Journal, Vec<(String, Ipv4Addr)>)> {
        let file = private().read(true).open(path)?;
        let mut bytes = Vec::new();
        (&file).take(BYTES_MAX).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let entries = text.split_inclusive('\n').filter_map(entry).collect();
        let journal = Journal { path: path.to_owned(), file, lines: text.lines().count() };
        Ok((journal, entries))
    }

    /// Adds a name. `true` when the journal has become so long that it is to be written afresh.
    pub fn add(&mut self, name: &str, address: Ipv4Addr) -> io::Result<bool> {
        self.file.write_all(format!("{address} {name}\n").as_bytes())?;
        self.lines += 1;
        Ok(self.lines >= LINES_MAX)
    }

    /// Writes the journal afresh: it is the old one or the new one at any moment.
    pub fn replace<'names>(&mut self, entries: impl Iterator<Item = (Ipv4Addr, &'names str)>) -> io::Result<()> {
        let lines: Vec<String> = entries.map(|(address, name)| format!("{address} {name}\n")).collect();
        let fresh = self.path.with_extension("new");
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = private().open(&fresh)?;
        self.file.write_all(lines.concat().as_bytes())?;
        std::fs::rename(&fresh, &self.path)?;
        self.lines = lines.len();
        Ok(())
    }
}

/// Where somebody browses is nobody else's business.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options
}

fn entry(line: &str) -> Option<(String, Ipv4Addr)> {
    let (address, name) = line.strip_suffix('\n')?.split_once(' ')?;
    let address = address.parse().ok().filter(|address| is_synthetic(*address))?;
    Some((canonical(name)?, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_survives_rubbish() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names");
        let lines = "198.18.1.5 a.test\n\nrubbish\n10.0.0.1 private.test\n198.18.1.6 10.0.0.1\n198.18.1.7 B.test\n198.18.1.8 c.te";
        std::fs::write(&path, [lines.as_bytes(), &[0xff]].concat()).unwrap();
        let (mut journal, entries) = Journal::open(&path).unwrap();
        let expected = [("a.test".to_owned(), [198, 18, 1, 5].into()), ("b.test".to_owned(), [198, 18, 1, 7].into())];
        assert_eq!(entries, expected);
        let kept = entries.iter().map(|(name, address)| (*address, name.as_str()));
        journal.replace(kept).unwrap();
        assert!(!journal.add("d.test", [198, 18, 1, 9].into()).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "198.18.1.5 a.test\n198.18.1.7 b.test\n198.18.1.9 d.test\n");
        assert!(Journal::open(folder.path()).is_err());
    }
}
