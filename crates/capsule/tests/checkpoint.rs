//! Checkpoints of real sandboxes: all comes back, what has not changed is not kept again, and nothing damaged is used.

mod support;

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use support::{MIB, Machine, shell};
use vitrine_capsule::checkpoint::{CheckpointError, Index, Manifest, Pack, PackInfo, Taken, unpack_checkpoint};
use vitrine_capsule::{Capsule, DiskSpec, Disks, FileError, Profile, TreeLimits, User, WORKSPACE};

const ANY: TreeLimits = TreeLimits { entries_max: 1_000_000, bytes_max: 1024 * MIB };

const TREE: &str = "cd /workspace; mkdir -p sub/empty private; echo hello > file; chmod 640 file; ln file sub/hard; \
    ln file private/hard; ln -s ../file sub/link; ln -s /etc/shadow absolute; mkfifo pipe; \
    printf x > \"$(printf 'b\\377d')\"; long=$(printf 'n%.0s' $(seq 200)); echo long > $long; ln -s $long sub/$long; \
    : > nothing; truncate -s 3000000 hole; head -c 5000000 /dev/urandom > large; cp large sub/copy; \
    truncate -s 1T sparse; echo end >> sparse; chown -h 33:42 absolute; chown 33:33 sub/copy; chmod 1770 private; \
    chmod 750 sub; touch -d '2020-01-02 03:04:05.123456789' file private; touch -h -d '1960-01-02' absolute";
const HASH: &str = "{ find . -mindepth 1 ! -type p -printf '%p %y %m %U %G %T@ %s %n %l\\n' | sed 's/ d \\(.*\\) [0-9]* [0-9]* $/ d \\1/' | \
    LC_ALL=C sort; find . -type f -size -100M | LC_ALL=C sort | xargs -d '\\n' sha256sum; tail -c 5 sparse; \
    stat -c '%b %n' sparse hole; }";

/// What keeps packs, like a server.
#[derive(Default)]
struct Packs {
    kept: HashMap<String, Vec<u8>>,
    bytes: u64,
}

impl Packs {
    fn keep(&mut self, pack: Pack) -> std::io::Result<()> {
        self.bytes += pack.bytes.len() as u64;
        assert!(self.kept.insert(pack.fingerprint.to_string(), pack.bytes).is_none(), "kept twice");
        Ok(())
    }

    fn bring(&self, info: &PackInfo) -> std::io::Result<Vec<u8>> {
        self.kept.get(&info.fingerprint.to_string()).cloned().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn take(&mut self, capsule: &Capsule, index: &Index) -> Taken {
        self.bytes = 0;
        let taken = capsule.checkpoint(WORKSPACE, index, ANY, &mut |pack| self.keep(pack)).expect("taken");
        let decoded = Manifest::decode(&taken.manifest.encode().expect("encoded")).expect("decoded");
        assert_eq!(decoded, taken.manifest);
        for pack in decoded.packs() {
            assert_eq!(self.bring(pack).expect("kept").len() as u64, pack.bytes);
        }
        taken
    }
}

async fn sandbox(machine: &Machine, id: &str, lower: Option<&Path>) -> Capsule {
    let disks = Disks::open(machine.directory.path().join("disks"), 4096 * MIB).expect("disks");
    let mut spec = machine.spec(id, Profile::Sandbox);
    spec.disk = Some(DiskSpec { file: disks.make(id).await.expect("a disk"), workspace_lower: lower.map(Into::into) });
    machine.native.create(spec).await.expect("a capsule")
}

async fn root(capsule: &Capsule, script: &str) -> String {
    shell(capsule, User::Root, script).await.text
}

async fn tree(capsule: &Capsule) -> String {
    root(capsule, &format!("cd /workspace; {HASH}")).await
}

/// Longer than two changes of a file may bear the same time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn all_comes_back_here_there_and_below_another() {
    let machine = Machine::new().await;
    let capsule = sandbox(&machine, "first", None).await;
    assert_eq!(root(&capsule, TREE).await, "");
    let before = tree(&capsule).await;
    let mut packs = Packs::default();
    let Taken { manifest, skipped, .. } = packs.take(&capsule, &Index::default());
    assert_eq!(skipped.first, [(Path::new("pipe").to_owned(), "no regular file")]);
    // Both copies are kept once.
    assert!((5_000_000..5_100_000).contains(&packs.bytes), "{}", packs.bytes);

    // In place of what it has become.
    root(
        &capsule,
        "cd /workspace; rm -rf sub large; echo changed > file; mkdir -p new/tree; echo more > new/tree/file",
    )
    .await;
    assert_ne!(tree(&capsule).await, before);
    let files = capsule.files().expect("files");
    files.restore(WORKSPACE, &manifest, &mut |info| packs.bring(info)).expect("restored");
    drop(files);
    assert_eq!(tree(&capsule).await, before);
    assert_eq!(root(&capsule, "ls -A /workspace | grep vitrine").await, "");

    // In another one, with ids of its own.
    let other = sandbox(&machine, "other", None).await;
    let files = other.files().expect("files");
    files.restore(WORKSPACE, &manifest, &mut |info| packs.bring(info)).expect("restored");
    drop(files);
    assert_eq!(tree(&other).await, before);

    // As a folder that two more begin with.
    let folder = machine.directory.path().join("cache");
    unpack_checkpoint(&folder, &manifest, &mut |info| packs.bring(info)).expect("unpacked");
    for id in ["fork-1", "fork-2"] {
        let fork = sandbox(&machine, id, Some(&folder)).await;
        assert_eq!(tree(&fork).await, before);
        root(&fork, "cd /workspace; echo mine > file; rm -r sub private").await;
        // It can be taken and brought back like any other, and needs no new packs for what it began with.
        let index = Index::of(&manifest);
        let taken = packs.take(&fork, &index);
        assert!(packs.bytes < 1000, "{}", packs.bytes);
        let changed = tree(&fork).await;
        let files = fork.files().expect("files");
        files.restore(WORKSPACE, &manifest, &mut |info| packs.bring(info)).expect("restored");
        assert_eq!(tree(&fork).await, before);
        files.restore(WORKSPACE, &taken.manifest, &mut |info| packs.bring(info)).expect("restored");
        drop(files);
        assert_eq!(tree(&fork).await, changed);
        packs.kept.retain(|name, _| manifest.packs().iter().any(|pack| pack.fingerprint.to_string() == *name));
    }
    machine.finish().await;
}

#[tokio::test]
async fn only_what_has_changed_is_kept_again() {
    let machine = Machine::new().await;
    let capsule = sandbox(&machine, "again", None).await;
    root(
        &capsule,
        "cd /workspace; for i in 1 2 3 4 5 6 7 8 9; do head -c 3000000 /dev/urandom > f$i; done; echo x > x",
    )
    .await;
    settle().await;
    let mut packs = Packs::default();
    let first = packs.take(&capsule, &Index::default());
    assert!(packs.kept.len() >= 3 && packs.bytes > 27_000_000, "{} {}", packs.kept.len(), packs.bytes);
    let same = packs.take(&capsule, &first.index);
    assert_eq!((packs.bytes, &same.manifest), (0, &first.manifest));
    // One byte in the middle of a file costs one piece; the name and the time of a file cost nothing.
    root(&capsule, "cd /workspace; printf y | dd of=f5 bs=1 seek=1500000 conv=notrunc 2>/dev/null; mv f1 g1; touch f2")
        .await;
    settle().await;
    let second = packs.take(&capsule, &first.index);
    assert!((1_000_000..1_100_000).contains(&packs.bytes), "{}", packs.bytes);
    // The same size and time of modification, other content.
    root(&capsule, "cd /workspace; cp -p x old; echo y > x; touch -r old x; rm old").await;
    let third = packs.take(&capsule, &second.index);
    assert!(packs.bytes > 0);
    for (taken, script) in [(&first, "x f1"), (&third, "y g1")] {
        let files = capsule.files().expect("files");
        files.restore(WORKSPACE, &taken.manifest, &mut |info| packs.bring(info)).expect("restored");
        drop(files);
        assert_eq!(root(&capsule, "cd /workspace; echo $(cat x) ?1").await.trim(), script);
    }
    // Many small changes do not end as many small packs.
    let mut index = third.index;
    for round in 0..40 {
        root(&capsule, &format!("echo {round} > /workspace/n{round}")).await;
        index = packs.take(&capsule, &index).index;
    }
    let last = packs.take(&capsule, &index);
    assert!(last.manifest.packs().len() < 40, "{}", last.manifest.packs().len());
    machine.finish().await;
}

#[tokio::test]
async fn what_is_damaged_or_missing_is_not_used() {
    let machine = Machine::new().await;
    let capsule = sandbox(&machine, "damage", None).await;
    root(&capsule, "cd /workspace; head -c 20000000 /dev/urandom > large; echo small > small; mkdir d").await;
    let mut packs = Packs::default();
    let taken = packs.take(&capsule, &Index::default());
    root(&capsule, "cd /workspace; rm large; echo later > small").await;
    let before = root(&capsule, "cd /workspace; find . | sort; cat small; df --output=iused . | tail -1").await;
    let files = capsule.files().expect("files");
    let folder = machine.directory.path().join("cache");
    let last = taken.manifest.packs().len() - 1;
    for damage in 0..4 {
        let mut asked = 0;
        let mut source = |info: &PackInfo| {
            asked += 1;
            let mut bytes = packs.bring(info)?;
            match damage {
                _ if asked <= last => {}
                0 => bytes[1000] ^= 1,
                1 => bytes.truncate(1000),
                2 => bytes = packs.bring(&taken.manifest.packs()[0])?,
                _ => return Err(std::io::ErrorKind::NotFound.into()),
            }
            Ok(bytes)
        };
        let restored = files.restore(WORKSPACE, &taken.manifest, &mut source);
        match damage {
            3 => assert!(matches!(restored, Err(CheckpointError::Get(_))), "{restored:?}"),
            _ => assert!(matches!(restored, Err(CheckpointError::Damaged(_))), "{damage}: {restored:?}"),
        }
        asked = 0;
        assert!(
            unpack_checkpoint(&folder, &taken.manifest, &mut |info| {
                asked += 1;
                if asked > last { Err(std::io::ErrorKind::NotFound.into()) } else { packs.bring(info) }
            })
            .is_err()
        );
        assert!(!folder.exists());
        assert_eq!(
            root(&capsule, "cd /workspace; find . | sort; cat small; df --output=iused . | tail -1").await,
            before
        );
    }
    // A disk that is too small for both.
    root(&capsule, "head -c 4100M /dev/zero > /tmp/full 2>/dev/null").await;
    let restored = files.restore(WORKSPACE, &taken.manifest, &mut |info| packs.bring(info));
    assert!(matches!(restored, Err(CheckpointError::File(FileError::Full(_)))), "{restored:?}");
    drop(files);
    assert_eq!(root(&capsule, "cat /workspace/small").await, "later\n");
    // Packs that nobody keeps.
    let refuse = &mut |_: Pack| Err(std::io::ErrorKind::StorageFull.into());
    root(&capsule, "rm /tmp/full").await;
    let refused = capsule.checkpoint(WORKSPACE, &Index::default(), ANY, refuse);
    assert!(matches!(refused, Err(CheckpointError::Keep(_))), "{refused:?}");
    let few = TreeLimits { entries_max: 1, bytes_max: MIB };
    let refused = capsule.checkpoint(WORKSPACE, &Index::default(), few, &mut |_| Ok(()));
    assert!(matches!(refused, Err(CheckpointError::File(FileError::TooLarge { .. }))), "{refused:?}");
    machine.finish().await;
}

#[tokio::test]
async fn what_a_program_changes_in_its_memory_is_seen() {
    let machine = Machine::with_image("standard").await;
    let capsule = sandbox(&machine, "mapped", None).await;
    let script = "cd /workspace; cat > map.py <<END\nimport mmap, os, time\nf = open('mapped', 'w+b')\nf.truncate(4096)\n\
                  m = mmap.mmap(f.fileno(), 4096)\nm[0:1] = b'a'\nopen('ready', 'w')\n\
                  while not os.path.exists('go'): time.sleep(0.01)\nm[0:1] = b'b'\nopen('done', 'w')\ntime.sleep(60)\nEND\n\
                  python3 map.py >/dev/null 2>&1 & while ! [ -e /workspace/ready ]; do sleep 0.05; done";
    assert_eq!(root(&capsule, script).await, "");
    settle().await;
    let mut packs = Packs::default();
    let first = packs.take(&capsule, &Index::default());
    root(&capsule, "cd /workspace; touch go; while ! [ -e done ]; do sleep 0.05; done").await;
    let second = packs.take(&capsule, &first.index);
    let files = capsule.files().expect("files");
    files.restore(WORKSPACE, &second.manifest, &mut |info| packs.bring(info)).expect("restored");
    drop(files);
    assert_eq!(root(&capsule, "head -c 1 /workspace/mapped").await, "b");
    machine.finish().await;
}

/// The names in the workspace are exchanged all the time while one is taken and brought back.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_host_is_reached_however_names_are_exchanged() {
    let machine = Machine::with_image("standard").await;
    let capsule = sandbox(&machine, "races", None).await;
    let canary = tempfile::tempdir().expect("a folder");
    std::fs::write(canary.path().join("secret"), "the host's secret").expect("written");
    let name = canary.path().display();
    let script = format!(
        "cd /workspace; mkdir -p dir/a dir/b; echo x > dir/a/secret; ln -s {name} link; mkfifo pipe; echo y > file; \
         cat > swap.py <<END\nimport ctypes, itertools\nlibc = ctypes.CDLL(None)\n\
         for i in itertools.count():\n  for one, other in ((b'dir/a', b'link'), (b'file', b'pipe'), (b'dir', b'dir2')):\n\
         \x20   libc.renameat2(-100, b'/workspace/' + one, -100, b'/workspace/' + other, 2)\nEND\n\
         mkdir dir2; python3 swap.py >/dev/null 2>&1 &"
    );
    root(&capsule, &script).await;
    let until = Instant::now() + Duration::from_secs(3);
    let mut rounds = 0;
    while Instant::now() < until {
        let mut contents = Vec::new();
        let taken = capsule.checkpoint(WORKSPACE, &Index::default(), ANY, &mut |pack| {
            contents.push(pack);
            Ok(())
        });
        if let Ok(taken) = taken {
            for pack in &contents {
                let content = zstd::stream::decode_all(pack.bytes.as_slice()).expect("a pack");
                assert!(!content.windows(10).any(|bytes| bytes == b"the host's"));
            }
            let files = capsule.files().expect("files");
            let _ = files.restore(WORKSPACE, &taken.manifest, &mut |info| {
                let pack = contents.iter().find(|pack| pack.fingerprint == info.fingerprint);
                Ok(pack.expect("kept").bytes.clone())
            });
        }
        rounds += 1;
    }
    println!("{rounds} rounds");
    assert!(rounds > 10);
    let left: Vec<_> =
        std::fs::read_dir(canary.path()).expect("listed").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["secret"]);
    machine.finish().await;
}

#[tokio::test]
#[ignore = "measures"]
async fn a_project_of_5000_files() {
    let machine = Machine::new().await;
    let capsule = sandbox(&machine, "project", None).await;
    let files = capsule.files().expect("files");
    // 78 MB that compress like source code does: words of a small vocabulary.
    let mut state = 1_u64;
    let mut word = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{:x} ", (state >> 52) * (state >> 56))
    };
    let mut archive = tar_of(5000, || {
        let mut text = String::new();
        while text.len() < 15_600 {
            text.push_str(&word());
        }
        text
    });
    files.unpack(WORKSPACE, ANY, &mut archive.as_slice()).expect("unpacked");
    archive.clear();
    drop(files);
    settle().await;
    let mut packs = Packs::default();
    for round in 0..3 {
        let mut packs = Packs::default();
        let started = (Instant::now(), processor());
        packs.take(&capsule, &Index::default());
        let took = (started.0.elapsed(), processor() - started.1);
        println!("round {round}: first {took:?}, {} bytes in packs", packs.bytes);
    }
    let mut index = packs.take(&capsule, &Index::default()).index;
    for round in 0..5 {
        root(&capsule, &format!("echo {round} >> /workspace/d7/f7; echo {round} > /workspace/new{round}")).await;
        let started = Instant::now();
        let taken = packs.take(&capsule, &index);
        println!("next after a small change {:?}, {} bytes in packs", started.elapsed(), packs.bytes);
        index = taken.index;
        let started = Instant::now();
        let bytes = taken.manifest.encode().expect("encoded").len();
        println!("the list encoded in {:?}, {bytes} bytes", started.elapsed());
        let folder = machine.directory.path().join(format!("cache-{round}"));
        let started = (Instant::now(), processor());
        unpack_checkpoint(&folder, &taken.manifest, &mut |info| packs.bring(info)).expect("unpacked");
        println!("unpacked in {:?}", (started.0.elapsed(), processor() - started.1));
    }
    machine.finish().await;
}

/// The processor time that this process has used, in a clock that other work on the machine does not slow.
fn processor() -> Duration {
    let status = std::fs::read_to_string("/proc/self/stat").expect("readable");
    let ticks = status.split(' ').skip(13).take(2).map(|word| word.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn tar_of(count: usize, mut content: impl FnMut() -> String) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for number in 0..count {
        let text = content();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        let name = format!("d{}/f{number}", number % 100);
        archive.append_data(&mut header, name, text.as_bytes()).expect("appended");
    }
    let mut archive = archive.into_inner().expect("an archive");
    archive.flush().expect("whole");
    archive
}
