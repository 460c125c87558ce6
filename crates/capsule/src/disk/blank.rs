//! What a blank disk consists of: an ext4 as `mke2fs` makes it, made once and kept in memory.
//!
//! Assumes e2fsprogs on the machine. Promises that the image is the same whatever the machine's own settings are, that it
//! needs nothing done later (no lazy work in the background), and that a disk is written in a millisecond: of ten
//! gigabytes some hundred kilobytes are not empty.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use vitrine_init::DISK_FOLDERS;

use crate::CapsuleError;
use crate::error::Doing;

/// Without a journal: a disk ends with a crash of the machine. Never resized. The rest is what every kernel since 5.0 has.
const FEATURES: &str = "none,dir_index,dir_nlink,ext_attr,extent,extra_isize,filetype,flex_bg,huge_file,large_file,\
                        metadata_csum,sparse_super";
const BLOCK_BYTES: usize = 4096;
/// An image that is mostly holes has far less; more means that the file system below keeps no holes.
const CONTENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Where Debian and its relatives keep it, beside what the caller's search path names.
const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

#[derive(Debug)]
pub(super) struct Blank {
    bytes: u64,
    /// The blocks that are not empty, neighbours together.
    content: Vec<(u64, Vec<u8>)>,
}

impl Blank {
    /// Make the image of this size, with the folder for what is needed meanwhile.
    pub fn make(bytes: u64, scratch: &Path) -> Result<Self, CapsuleError> {
        let (image, skeleton) = (scratch.join("image"), scratch.join("skeleton"));
        for folder in DISK_FOLDERS {
            fs::create_dir_all(skeleton.join(folder)).doing(|| "prepare a blank disk".into())?;
        }
        let file = new_file(&image).doing(|| "prepare a blank disk".into())?;
        file.set_len(bytes).doing(|| format!("make a disk of {bytes} bytes"))?;
        format(&image, &skeleton)?;
        let content = content(&file).doing(|| "read a blank disk".into())?;
        Ok(Self { bytes, content })
    }

    /// A new disk at this path, where nothing is yet; nothing is there afterwards when it fails.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let file = new_file(path)?;
        let content = || self.content.iter().try_for_each(|(offset, bytes)| file.write_all_at(bytes, *offset));
        file.set_len(self.bytes).and_then(|()| content()).inspect_err(|_| {
            // What remains of it the next sweep finds.
            let _ = fs::remove_file(path);
        })
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

fn format(image: &Path, skeleton: &Path) -> Result<(), CapsuleError> {
    let mut command = Command::new("mke2fs");
    command
        .env("PATH", std::env::var("PATH").map_or_else(|_| PATH.into(), |path| format!("{path}:{PATH}")))
        // The machine's own defaults are none of ours.
        .env("MKE2FS_CONFIG", "/dev/null")
        .args(["-q", "-F", "-b", "4096", "-I", "256", "-i", "16384", "-m", "0", "-O", FEATURES])
        .args(["-E", "lazy_itable_init=1,nodiscard,root_owner=0:0", "-d"])
        .args([skeleton, image])
        .stdin(Stdio::null());
    let said = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(CapsuleError::Unsupported("it has no mke2fs; install e2fsprogs".into()));
        }
        output => output.doing(|| "start mke2fs".into())?,
    };
    match said.status.success() {
        true => Ok(()),
        false => {
            Err(CapsuleError::Unsupported(format!("mke2fs says {}", String::from_utf8_lossy(&said.stderr).trim())))
        }
    }
}

fn content(file: &File) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let mut content: Vec<(u64, Vec<u8>)> = Vec::new();
    let (mut end, mut total) = (0, 0);
    loop {
        let start = match rustix::fs::seek(file, SeekFrom::Data(end)) {
            Err(Errno::NXIO) => return Ok(content),
            other => other?,
        };
        end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
        for offset in (start..end).step_by(BLOCK_BYTES) {
            let mut block = [0; BLOCK_BYTES];
            file.read_exact_at(&mut block, offset)?;
            if block == [0; BLOCK_BYTES] {
                continue;
            }
            total += BLOCK_BYTES;
            match content.last_mut() {
                Some((begin, bytes)) if *begin + bytes.len() as u64 == offset => bytes.extend_from_slice(&block),
                _ => content.push((offset, block.to_vec())),
            }
        }
        if total > CONTENT_BYTES_MAX {
            return Err(io::Error::other("the file system that holds it keeps no holes"));
        }
    }
}
