//! What is tried with the host's hands: links, pipes and swapped folders where the host reads and writes files.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use tar::{EntryType, Header};
use vitrine_init::{Exec, User};

use super::{Attack, Carried, Ground, Means, could_not};
use crate::{Capsule, Files, TreeLimits};

/// What a file of the host holds that no capsule has.
const SECRET: &str = "the-secret-of-the-host";
/// How long folders are swapped while the host looks.
const RACE: Duration = Duration::from_secs(2);
/// Opening what is no file must fail at once.
const PROMPT: Duration = Duration::from_secs(2);
const LIMITS: TreeLimits = TreeLimits { entries_max: 1000, bytes_max: 1024 * 1024 };

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "file-races",
        tries: "lead the host's hands out by a folder that turns into a link while it is walked",
        means: Means::Host(races),
    },
    Attack {
        name: "hostile-archives",
        tries: "write outside by an archive with `..`, absolute names, links, devices, pipes or endless files",
        means: Means::Host(archives),
    },
    Attack {
        name: "file-kinds",
        tries: "make the host wait for a pipe, a socket, a device, or read the kernel's files",
        means: Means::Host(kinds),
    },
];

/// A folder of the host with a secret in it, removed at the end.
struct Bait(std::path::PathBuf);

impl Bait {
    fn lay() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("vitrine-attack-{}", std::process::id()));
        let lay = || {
            std::fs::create_dir_all(&path)?;
            std::fs::write(path.join("secret"), SECRET)
        };
        lay().map_err(|error| format!("could not lay a bait: {error}"))?;
        Ok(Self(path))
    }

    /// Whether nothing but the secret is in it.
    fn untouched(&self) -> bool {
        let names = std::fs::read_dir(&self.0).map(|entries| entries.count()).unwrap_or(0);
        names == 1 && std::fs::read_to_string(self.0.join("secret")).is_ok_and(|text| text == SECRET)
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        // Best effort: it lies in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn races(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let bait = Bait::lay()?;
        let victim = ground.attacker().await?;
        let place = bait.0.display();
        let prepare = format!(
            "mkdir -p /root/race/folder /root/race/inside; echo harmless > /root/race/folder/secret; \
                               ln -s /../../../../..{place} /root/race/link; ln -s /proc/1/root{place} /root/race/root; \
                               ln -s /proc/self/fd /root/race/fd"
        );
        victim.holds(User::Root, &prepare).await?;
        let swap = "perl -e 'chdir \"/root/race\"; while (1) { for $l (\"link\", \"root\") { \
                    rename \"folder\", \"aside\"; rename $l, \"folder\"; rename \"folder\", $l; rename \"aside\", \"folder\" } }'";
        let exec = Exec { user: User::Root, ..Exec::new(["/bin/sh", "-c", swap]) };
        victim.capsule.exec(exec).await.map_err(could_not)?;
        let capsule = victim.capsule.clone();
        let walked = tokio::task::spawn_blocking(move || walk(&capsule)).await;
        walked.map_err(|error| error.to_string())??;
        if bait.untouched() { Ok(()) } else { Err("the host wrote to its own folder".into()) }
    })
}

/// Use every kind of access on paths that lead through the swapped folder.
fn walk(capsule: &Capsule) -> Result<(), String> {
    let files = capsule.files().map_err(could_not)?;
    let started = Instant::now();
    let mut rounds = 0_u32;
    while started.elapsed() < RACE {
        for path in ["/root/race/folder/secret", "/root/race/link/secret", "/root/race/root/secret"] {
            if let Ok(mut file) = files.open(path) {
                let mut text = String::new();
                let _ = std::io::Read::read_to_string(&mut file, &mut text);
                if text.contains(SECRET) {
                    return Err(format!("the host read its own file by {path}"));
                }
            }
        }
        misuse(&files, Path::new("/root/race/folder"))?;
        rounds += 1;
    }
    if rounds > 10 { Ok(()) } else { Err(format!("the attack itself failed: {rounds} rounds")) }
}

/// Every other access there is. Failing is what most of them do; where they end is looked at afterwards.
fn misuse(files: &Files, folder: &Path) -> Result<(), String> {
    let (secret, new) = (folder.join("secret"), folder.join("new"));
    let mut packed = Vec::new();
    let _ = files.pack(folder, LIMITS, &mut packed);
    if packed.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()) {
        return Err("the host packed its own file".into());
    }
    let _ = files.list(folder, 9);
    let _ = files.stat(&secret);
    let _ = files.create(&new).map(|draft| draft.keep());
    let _ = files.append(&new).map(|mut file| file.write_all(b"more"));
    let _ = files.rename(&new, folder.join("renamed"), true);
    let _ = files.make_directory(folder.join("made/deep"), None);
    let _ = files.unpack(folder, LIMITS, &mut archive(&[("unpacked", EntryType::Regular, "")]).as_slice());
    let _ = files.delete(folder.join("made"), true);
    let _ = files.delete(folder.join("renamed"), false);
    Ok(())
}

fn archives(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let bait = Bait::lay()?;
        let victim = ground.attacker().await?;
        victim.holds(User::Root, "mkdir -p /root/archives && ln -s / /root/archives/up").await?;
        let (place, capsule) = (bait.0.clone(), victim.capsule.clone());
        let unpacked = tokio::task::spawn_blocking(move || unpack(&capsule, &place)).await;
        unpacked.map_err(|error| error.to_string())??;
        if !bait.untouched() {
            return Err("an archive wrote to the host".into());
        }
        victim.holds(User::Root, "find / -xdev -type b -o -xdev -type p | sed 's/^/ESCAPED: made /'").await
    })
}

fn unpack(capsule: &Capsule, bait: &Path) -> Result<(), String> {
    let files = capsule.files().map_err(could_not)?;
    let place = bait.display();
    let climbing = format!("../../../../../../../..{place}/climbed");
    let absolute = format!("{place}/absolute");
    let link = place.to_string();
    let hostile: [&[Entry<'_>]; 6] = [
        &[(&climbing, EntryType::Regular, "")],
        &[(&absolute, EntryType::Regular, "")],
        &[("door", EntryType::Symlink, &link), ("door/through", EntryType::Regular, "")],
        &[("hard", EntryType::Link, "/etc/passwd")],
        &[("disk", EntryType::Block, "")],
        &[("pipe", EntryType::Fifo, "")],
    ];
    for entries in hostile {
        // Refused or kept inside: what was made is looked at afterwards.
        let _ = files.unpack("/root/archives", LIMITS, &mut archive(entries).as_slice());
    }
    // A header that promises more than a disk has, and nothing behind it.
    let mut bomb = archive(&[("bomb", EntryType::Regular, "")]);
    bomb[124..136].copy_from_slice(b"77777777777\0");
    match files.unpack("/root/archives", LIMITS, &mut bomb.as_slice()) {
        Ok(_) => Err("an archive of more than all bytes was unpacked".into()),
        Err(_) => Ok(()),
    }
}

/// A name, what it is, and where it leads.
type Entry<'a> = (&'a str, EntryType, &'a str);

/// An archive as no honest program would write it.
fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, kind, target) in entries {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        for (field, text) in [(&mut old.name, name), (&mut old.linkname, target)] {
            let bytes = &text.as_bytes()[..text.len().min(field.len())];
            field[..bytes.len()].copy_from_slice(bytes);
        }
        header.set_entry_type(*kind);
        header.set_mode(0o777);
        header.set_size(0);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn kinds(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let victim = ground.attacker().await?;
        let prepare = "mkdir /root/kinds; cd /root/kinds; mkfifo pipe; \
                       perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"socket\"))'; \
                       ln -s /dev/zero zero; ln -s /dev/tty tty; ln -s /proc/self/environ environ; \
                       ln -s /proc/1/mem memory; ln -s pipe link; ln -s loop loop; ln /etc/passwd hard";
        victim.holds(User::Root, prepare).await?;
        let capsule = victim.capsule.clone();
        let looked = tokio::task::spawn_blocking(move || look(&capsule));
        match tokio::time::timeout(PROMPT * 8, looked).await {
            Ok(looked) => looked.map_err(|error| error.to_string())?,
            Err(_) => Err("the host waits for something that is no file".into()),
        }
    })
}

fn look(capsule: &Capsule) -> Result<(), String> {
    let files = capsule.files().map_err(could_not)?;
    let folder = Path::new("/root/kinds");
    for name in ["pipe", "socket", "zero", "tty", "environ", "memory", "link", "loop"] {
        let started = Instant::now();
        if files.open(folder.join(name)).is_ok() {
            return Err(format!("the host opened {name}"));
        }
        if started.elapsed() > PROMPT {
            return Err(format!("the host waited for {name}"));
        }
    }
    let listed = files.list(folder, 99).map_err(|error| format!("could not list the folder: {error}"))?;
    match listed.entries.len() {
        // A second kernel keeps its sockets to itself.
        8 | 9 => Ok(()),
        names => Err(format!("the attack itself failed: {names} names")),
    }
}
