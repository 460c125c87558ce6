//! Which files programs have in their memory for writing: what they change there shows in no time of the file.

use std::collections::HashSet;
use std::fs;

use rustix::process::Pid;

/// The inodes that processes have mapped shared and writable. Who is gone meanwhile has mapped nothing.
pub(super) fn mapped(processes: &[Pid]) -> HashSet<u64> {
    let mut inodes = HashSet::new();
    for process in processes {
        let maps = fs::read(format!("/proc/{}/maps", process.as_raw_nonzero())).unwrap_or_default();
        inodes.extend(maps.split(|byte| *byte == b'\n').filter_map(written));
    }
    inodes
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
