//! All that the host does with a sandbox's files, on a real capsule: what it means, and that nothing of the host is reached.

mod support;

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use support::{MIB, Machine, shell};
use vitrine_capsule::{
    Capsule, Change, DiskSpec, Disks, FileEntry, FileError, FileKind, Files, Profile, TreeLimits, User,
};

const ANY: TreeLimits = TreeLimits { entries_max: 1_000_000, bytes_max: 1024 * MIB };

/// On a disk of its own, which knows the capsule's ids only.
async fn sandbox(machine: &Machine, id: &str) -> Capsule {
    let disks = Disks::open(machine.directory.path().join("disks"), 4096 * MIB).expect("disks");
    let mut spec = machine.spec(id, Profile::Sandbox);
    spec.disk = Some(DiskSpec { file: disks.make(id).await.expect("a disk"), workspace_lower: None });
    machine.native.create(spec).await.expect("a capsule")
}

async fn root(capsule: &Capsule, script: &str) -> String {
    shell(capsule, User::Root, script).await.text
}

fn text(files: &Files, path: &str) -> Result<String, FileError> {
    let mut text = String::new();
    files.open(path)?.read_to_string(&mut text).expect("readable");
    Ok(text)
}

fn put(files: &Files, path: &str, content: &str) {
    let draft = files.create(path).expect("a draft");
    draft.file().write_all(content.as_bytes()).expect("written");
    draft.keep().expect("kept");
}

fn names(entries: &[FileEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.to_str().expect("UTF-8")).collect()
}

#[tokio::test]
async fn files_are_made_changed_moved_and_removed() {
    let machine = Machine::new().await;
    let capsule = sandbox(&machine, "changes").await;
    root(&capsule, "mkdir -p /work/sub; echo old > /work/there; chmod 700 /work/there; chown 33:33 /work/there").await;
    let files = capsule.files().expect("files");

    put(&files, "/work/a/b/new", "first");
    put(&files, "/work/there", "new");
    let mut draft = files.create("/work/program").expect("a draft");
    draft.set_mode(0o4755);
    draft.keep().expect("kept");
    files.append("/work/log").expect("made").write_all(b"one ").expect("written");
    files.append("/work/log").expect("opened").write_all(b"two").expect("written");
    files.make_directory("/work/deep/er", Some(0o700)).expect("made");
    files.make_directory("/work/deep/er", None).expect("there");
    let seen =
        root(&capsule, "cd /work; stat -c '%n %U %a' a a/b a/b/new there program log deep deep/er; cat there log")
            .await;
    let expected = "a root 755\na/b root 755\na/b/new root 644\nthere www-data 700\nprogram root 755\nlog root 644\n\
                    deep root 755\ndeep/er root 700\nnewone two";
    assert_eq!(seen, expected);

    assert!(matches!(files.rename("/work/log", "/work/there", false), Err(FileError::Exists(_))));
    files.rename("/work/log", "/work/there", true).expect("moved");
    files.rename("/work/a", "/work/deep/a", false).expect("moved");
    assert_eq!(text(&files, "/work/deep/a/b/new").expect("readable"), "first");
    put(&files, "/workspace/in/it", "lies elsewhere on the disk");
    files.rename("/workspace/in/it", "/work/it", false).expect("moved");
    assert_eq!(
        root(&capsule, "stat -c %U /workspace/in /work/it; cat /work/it").await,
        "root\nroot\nlies elsewhere on the disk"
    );
    files.delete("/work/it", false).expect("removed");
    // To another file system: a file by copy, a directory not.
    files.rename("/work/there", "/dev/shm/there", false).expect("moved");
    assert_eq!(text(&files, "/dev/shm/there").expect("readable"), "one two");
    assert!(matches!(files.stat("/work/there"), Err(FileError::NotFound(_))));
    assert!(matches!(files.rename("/work/deep", "/dev/shm/deep", false), Err(FileError::Across(_))));
    assert!(matches!(files.rename("/dev/shm", "/work/shm", false), Err(FileError::Busy(_))));

    assert!(matches!(files.delete("/work/deep", false), Err(FileError::NotEmpty(_))));
    files.delete("/work/deep", true).expect("removed");
    files.delete("/work/program", false).expect("removed");
    for kept in ["/dev/shm", "/proc", "/workspace"] {
        assert!(matches!(files.delete(kept, true), Err(FileError::Busy(_))), "{kept}");
    }
    assert!(matches!(files.delete("/", true), Err(FileError::NotAPath(_))));
    assert_eq!(names(&files.list("/work", 10).expect("a list").entries), ["sub"]);
    assert!(matches!(files.list("/work", 10).expect("a list").entries[0].kind, FileKind::Directory));
    for kernels in ["/proc/x", "/sys/devices/system/cpu/x"] {
        assert!(files.create(kernels).is_err());
        assert!(files.make_directory(kernels, None).is_err());
    }
    drop(files);
    machine.finish().await;
}

#[tokio::test]
async fn a_link_is_described_and_any_name_is_listed() {
    let machine = Machine::new().await;
    let capsule = sandbox(&machine, "names").await;
    let script = "mkdir /work; cd /work; ln -s ../etc/hostname link; printf x > \"$(printf 'b\\377d')\"; mkfifo pipe; \
                  mkdir many; cd many; seq -f %06g 100000 | xargs touch";
    assert_eq!(root(&capsule, script).await, "");
    let files = capsule.files().expect("files");
    let link = files.stat("/work/link").expect("found");
    assert_eq!((link.kind, link.target.as_deref()), (FileKind::Link, Some("../etc/hostname".as_ref())));
    assert_eq!(files.stat("/").expect("found").kind, FileKind::Directory);
    assert_eq!(files.stat("/work/pipe").expect("found").kind, FileKind::Other);
    assert!(matches!(files.open("/work/pipe"), Err(FileError::NotAFile(_))));
    assert!(matches!(files.append("/work/pipe"), Err(FileError::NotAFile(_))));
    let listing = files.list("/work", 10).expect("a list");
    assert_eq!(listing.entries[0].name.as_bytes(), b"b\xffd");
    assert!(!listing.truncated);
    let started = Instant::now();
    let many = files.list("/work/many", 10_000).expect("a list");
    assert!(many.truncated && many.entries.len() == 10_000, "{}", many.entries.len());
    assert_eq!((names(&many.entries)[0], names(&many.entries)[9_999]), ("000001", "010000"));
    println!("10,000 of 100,000 names: {:?}", started.elapsed());
    let started = Instant::now();
    files.delete("/work/many", true).expect("removed");
    println!("100,000 files removed: {:?}", started.elapsed());
    drop(files);
    machine.finish().await;
}

#[tokio::test]
async fn trees_of_any_depth_are_listed_packed_and_removed() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("deep", Profile::Sandbox).await;
    // Deeper than any path is long.
    let mut place = rustix::fs::open(capsule.directory().join("tmp"), OFlags::PATH, Mode::empty()).expect("opened");
    for _ in 0..3000 {
        rustix::fs::mkdirat(&place, "dd", Mode::RWXU).expect("made");
        rustix::fs::symlinkat("/etc", &place, "link").expect("linked");
        place = rustix::fs::openat(&place, "dd", OFlags::PATH, Mode::empty()).expect("opened");
    }
    let files = capsule.files().expect("files");
    let mut archive = Vec::new();
    let packed = files.pack("/session/tmp", ANY, &mut archive).expect("packed");
    assert!(packed.entries > 2000 && packed.skipped.count > 0, "{packed:?}");
    files.unpack("/again", ANY, &mut archive.as_slice()).expect("unpacked");
    files.delete("/again", true).expect("removed");
    files.delete("/session/tmp/dd", true).expect("removed");
    assert!(matches!(files.stat("/session/tmp/dd"), Err(FileError::NotFound(_))));
    drop(files);
    machine.finish().await;
}

const TREE: &str = "mkdir -p /work/tree/sub/empty; cd /work/tree; echo hello > file; chmod 640 file; ln file sub/hard; \
    ln -s ../file sub/link; ln -s /usr/bin/python3 absolute; mkfifo pipe; printf x > \"$(printf 'b\\377d')\"; \
    long=$(printf 'n%.0s' $(seq 200)); echo long > $long; ln -s $long sub/$long; truncate -s 3000000 sparse; \
    touch -d '2020-01-02 03:04:05' file; chmod 750 sub";
const HASH: &str = "{ find . ! -type p | LC_ALL=C sort; find . -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum; \
    find . -type f -o -type d | LC_ALL=C sort | xargs -d '\\n' stat -c '%a %n'; find . -type l -printf '%p %l\\n' | sort; \
    stat -c '%Y %n' file; } | sha256sum";

#[tokio::test]
async fn a_directory_travels_as_an_archive() {
    let machine = Machine::new().await;
    let capsule = sandbox(&machine, "archive").await;
    assert_eq!(root(&capsule, TREE).await, "");
    let before = root(&capsule, &format!("cd /work/tree; {HASH}")).await;
    let files = capsule.files().expect("files");
    let mut archive = Vec::new();
    let packed = files.pack("/work/tree", ANY, &mut archive).expect("packed");
    assert_eq!(packed.skipped.first, [(Path::new("pipe").to_owned(), "no regular file")]);
    let unpacked = files.unpack("/work/copy", ANY, &mut archive.as_slice()).expect("unpacked");
    assert_eq!((unpacked.entries, unpacked.bytes), (packed.entries, packed.bytes));
    assert_eq!(root(&capsule, &format!("cd /work/copy; {HASH}")).await, before);
    // The capsule's own tar reads it, and is read.
    let draft = files.create("/work/archive.tar").expect("a draft");
    draft.file().write_all(&archive).expect("written");
    draft.keep().expect("kept");
    let listed = root(&capsule, &format!("mkdir /work/tar; cd /work/tar; tar xf /work/archive.tar 2>&1; {HASH}")).await;
    assert_eq!(listed, before);
    for format in ["gnu", "posix"] {
        let script = format!("cd /work/tree; tar -c --format={format} --exclude=pipe -f /work/{format}.tar .");
        assert_eq!(root(&capsule, &script).await, "");
        let mut source = files.open(format!("/work/{format}.tar")).expect("opened");
        files.unpack(format!("/work/{format}"), ANY, &mut source).expect(format);
        assert_eq!(root(&capsule, &format!("cd /work/{format}; {HASH}")).await, before, "{format}");
    }
    let too_small = TreeLimits { entries_max: 3, bytes_max: MIB };
    assert!(matches!(files.pack("/work/tree", too_small, &mut std::io::sink()), Err(FileError::TooLarge { .. })));
    let too_small = TreeLimits { entries_max: 100, bytes_max: MIB };
    assert!(matches!(files.pack("/work/tree", too_small, &mut std::io::sink()), Err(FileError::TooLarge { .. })));
    let failed = files.unpack("/work/x", too_small, &mut archive.as_slice());
    assert!(matches!(failed, Err(FileError::TooLarge { .. })));
    let cut = files.unpack("/work/y", ANY, &mut &archive[..archive.len() / 2]);
    assert!(matches!(cut, Err(FileError::Archive(_))), "{cut:?}");
    drop(files);
    machine.finish().await;
}

fn entry(name: &str, kind: tar::EntryType, target: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().div_ceil(512) * 512, 0);
    bytes
}

#[tokio::test]
async fn hostile_archives_are_refused() {
    use tar::EntryType as T;
    let machine = Machine::new().await;
    let capsule = sandbox(&machine, "hostile").await;
    root(&capsule, "mkdir -p /work/in /outside; echo secret > /outside/file; mkfifo /work/in/pipe").await;
    let files = capsule.files().expect("files");
    let cases: [(&str, Vec<Vec<u8>>); 11] = [
        ("up", vec![entry("../up", T::Regular, "", b"x")]),
        ("inner up", vec![entry("a/../../up", T::Regular, "", b"x")]),
        ("absolute", vec![entry("/outside/up", T::Regular, "", b"x")]),
        ("device", vec![entry("device", T::Char, "", b"")]),
        ("block", vec![entry("device", T::Block, "", b"")]),
        ("pipe", vec![entry("fifo", T::Fifo, "", b"")]),
        ("hard link out", vec![entry("hard", T::Link, "../../outside/file", b"")]),
        ("hard link to a pipe", vec![entry("hard", T::Link, "pipe", b"")]),
        ("through a link", vec![entry("away", T::Symlink, "/outside", b""), entry("away/up", T::Regular, "", b"x")]),
        (
            "through a relative link",
            vec![entry("off", T::Symlink, "../..", b""), entry("off/up", T::Directory, "", b"")],
        ),
        (
            "hard link through a link",
            vec![entry("away2", T::Symlink, "/outside", b""), entry("hard", T::Link, "away2/file", b"")],
        ),
    ];
    for (what, entries) in cases {
        let archive = entries.concat();
        assert!(files.unpack("/work/in", ANY, &mut archive.as_slice()).is_err(), "{what}");
    }
    // A name that says to be gigabytes long is not read.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(T::GNULongName);
    header.set_size(8 << 30);
    header.set_cksum();
    let mut endless = header.as_bytes().chain(std::io::repeat(b'x'));
    assert!(matches!(files.unpack("/work/in", ANY, &mut endless), Err(FileError::Archive(_))));
    let endless = &mut std::io::repeat(b'x');
    assert!(matches!(files.unpack("/work/in", ANY, endless), Err(FileError::Archive(_))));
    let seen = root(&capsule, "ls /outside /work; find / -xdev -name up; cat /outside/file").await;
    assert_eq!(seen, "/outside:\nfile\n\n/work:\nin\nsecret\n");
    // A link that is replaced is not written through.
    put(&files, "/work/in/away", "mine");
    let archive = [entry("l", T::Symlink, "/outside/file", b""), entry("l", T::Regular, "", b"mine")].concat();
    files.unpack("/work/in", ANY, &mut archive.as_slice()).expect("unpacked");
    assert_eq!(root(&capsule, "cat /outside/file /work/in/l").await, "secret\nmine");
    drop(files);
    machine.finish().await;
}

/// A directory and a link to the root change places as fast as they can.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_host_is_reached_however_names_are_exchanged() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("races", Profile::Sandbox).await;
    let canary = tempfile::tempdir().expect("a folder");
    let name = canary.path().strip_prefix("/").expect("absolute").display().to_string();
    std::fs::write(canary.path().join("secret"), "the host's").expect("written");
    // Inside, the same path is there as a directory: what is reached through the link is the capsule's.
    let script = format!("cd /session/tmp; mkdir -p dir/{name} /{name}; touch /{name}/mark; ln -s / link");
    assert_eq!(root(&capsule, &script).await, "");
    let inside = std::fs::File::open(capsule.directory().join("tmp")).expect("opened");
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let mut swaps = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(&inside, "dir", &inside, "link", flags);
                swaps += 1;
            }
            swaps
        }
    });
    let files = capsule.files().expect("files");
    let below = format!("/session/tmp/dir/{name}");
    let until = Instant::now() + Duration::from_secs(4);
    let mut rounds = 0;
    while Instant::now() < until {
        assert!(text(&files, &format!("{below}/secret")).is_err());
        for entry in files.list(&below, 100).map(|listing| listing.entries).unwrap_or_default() {
            assert_ne!(entry.name, "secret");
        }
        let _ = files.stat(format!("{below}/secret")).map(|_| panic!("the host's file was seen"));
        if let Ok(draft) = files.create(format!("{below}/made")) {
            let _ = draft.keep();
        }
        let _ = files.append(format!("{below}/added")).map(|mut file| file.write_all(b"x"));
        let _ = files.make_directory(format!("{below}/folder/er"), None);
        let _ = files.rename(format!("{below}/made"), format!("{below}/moved"), true);
        let mut archive = Vec::new();
        let _ = files.pack("/session/tmp/dir", TreeLimits { entries_max: 50, bytes_max: MIB }, &mut archive);
        assert!(!archive.windows(10).any(|bytes| bytes == b"the host's"));
        let _ = files.unpack(&below, ANY, &mut entry("unpacked", tar::EntryType::Regular, "", b"x").as_slice());
        let _ = files.watch("/session/tmp/dir", false);
        let _ = files.delete(format!("{below}/folder"), true);
        let _ = files.delete(format!("{below}/secret"), false);
        rounds += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = swapper.join().expect("joined");
    println!("{rounds} rounds, {swaps} exchanges");
    assert!(rounds > 50 && swaps > 1000, "{rounds} rounds, {swaps} exchanges");
    let left: Vec<_> =
        std::fs::read_dir(canary.path()).expect("listed").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["secret"]);
    drop(files);
    machine.finish().await;
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("watch", Profile::Sandbox).await;
    root(&capsule, "mkdir -p /work/old/deep").await;
    let mut watch = capsule.files().expect("files").watch("/work", true).expect("watched");
    let told = |watch: &mut vitrine_capsule::Watch| {
        let files = capsule.files().expect("files");
        let mut all = Vec::new();
        loop {
            let changes = watch.changes(&files).expect("changes");
            if changes.is_empty() {
                return all;
            }
            all.extend(changes);
        }
    };
    assert_eq!(told(&mut watch), []);
    root(&capsule, "cd /work; echo a > new; echo b >> new; echo c > old/deep/x; mkdir -p made/in; echo d > made/in/y")
        .await;
    let all = told(&mut watch);
    for expected in [
        Change::Created("/work/new".into()),
        Change::Created("/work/old/deep/x".into()),
        Change::Created("/work/made".into()),
        Change::Created("/work/made/in".into()),
        Change::Created("/work/made/in/y".into()),
    ] {
        assert_eq!(all.iter().filter(|change| **change == expected).count(), 1, "{expected:?} in {all:?}");
    }
    root(&capsule, "cd /work; mv old older; echo e > older/deep/z; rm new; echo f >> made/in/y").await;
    let all = told(&mut watch);
    for expected in [
        Change::Moved { from: "/work/old".into(), to: "/work/older".into() },
        Change::Created("/work/older/deep/z".into()),
        Change::Deleted("/work/new".into()),
        Change::Modified("/work/made/in/y".into()),
    ] {
        assert!(all.contains(&expected), "{expected:?} in {all:?}");
    }
    // More than the kernel keeps for us.
    root(&capsule, "cd /work; seq 40000 | xargs touch; rm -r made").await;
    let all = told(&mut watch);
    assert!(all.contains(&Change::Overflow), "{}", all.len());
    root(&capsule, "rm -r /work").await;
    assert!(told(&mut watch).contains(&Change::Ended));
    drop(watch);
    machine.finish().await;
}

#[tokio::test]
#[ignore = "measures"]
async fn bytes_flow() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("flow", Profile::Sandbox).await;
    let files = capsule.files().expect("files");
    let bytes = vec![7_u8; MIB as usize];
    for round in 0..3 {
        let started = Instant::now();
        let draft = files.create("/big").expect("a draft");
        for _ in 0..256 {
            draft.file().write_all(&bytes).expect("written");
        }
        draft.keep().expect("kept");
        let up = started.elapsed();
        let started = Instant::now();
        let (mut file, mut buffer) = (files.open("/big").expect("opened"), vec![0_u8; MIB as usize]);
        while file.read(&mut buffer).expect("readable") > 0 {}
        println!("round {round}: 256 MiB written in {up:?}, read in {:?}", started.elapsed());
        let started = Instant::now();
        files.pack("/session", ANY, &mut std::io::sink()).expect("packed");
        println!("packed in {:?}", started.elapsed());
    }
    drop(files);
    machine.finish().await;
}
