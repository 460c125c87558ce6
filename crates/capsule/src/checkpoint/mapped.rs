//! Which files programs have in their memory for writing: what they change there shows in no time of the file.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;

use rustix::process::Pid;

/// How much is read of all processes together: a program may map tens of thousands of things.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The inodes that processes have mapped shared and writable; nothing when there is too much to be read. Who is gone
/// meanwhile has mapped nothing.
pub(super) fn mapped(processes: &[Pid]) -> Option<HashSet<u64>> {
    let mut inodes = HashSet::new();
    let mut left = BYTES_MAX;
    for process in processes {
        let mut maps = Vec::new();
        if let Ok(file) = File::open(format!("/proc/{}/maps", process.as_raw_nonzero())) {
            // One that ends meanwhile cannot be read on.
            let _ = file.take(left).read_to_end(&mut maps);
        }
        inodes.extend(maps.split(|byte| *byte == b'\n').filter_map(written));
        left = left.checked_sub(maps.len() as u64).filter(|left| *left > 0)?;
    }
    Some(inodes)
}

/// `address permissions offset device inode path`
fn written(line: &[u8]) -> Option<u64> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let permissions = words.nth(1)?;
    let shared = permissions.get(1) == Some(&b'w') && permissions.get(3) == Some(&b's');
    let inode = std::str::from_utf8(words.nth(2)?).ok()?.parse().ok()?;
    (shared && inode != 0).then_some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_shared_and_writable_counts() {
        assert_eq!(written(b"7f00-7f01 rw-s 00000000 07:01 42   /workspace/a file"), Some(42));
        for line in
            ["7f00-7f01 r--s 00000000 07:01 42 /x", "7f00-7f01 rw-p 00000000 07:01 42 /x", "7f00 rw-s 0 00:01 0", ""]
        {
            assert_eq!(written(line.as_bytes()), None, "{line}");
        }
    }
}
