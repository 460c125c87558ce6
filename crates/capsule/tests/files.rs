//! A capsule's files from the host's side: what the capsule sees, and nothing else, whatever hostile programs have made of it.

mod support;

use std::io::{Read, Write};

use support::{Machine, shell};
use vitrine_capsule::{Capsule, FileError, FileKind, Profile, User};

fn text(capsule: &Capsule, path: &str) -> Result<String, FileError> {
    let mut text = String::new();
    capsule.files().expect("files").open(path)?.read_to_string(&mut text).expect("readable");
    Ok(text)
}

#[tokio::test]
async fn files_are_those_that_the_capsule_sees() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("sees", Profile::Browser).await;
    let script =
        "echo session > /session/downloads/a; echo shared > /dev/shm/b; echo over > /tmp/c; ln -s /tmp/c /session/link";
    assert_eq!(shell(&capsule, User::Ordinary, script).await.text, "");
    for (path, expected) in [
        ("/session/downloads/a", "session\n"),
        ("/dev/shm/b", "shared\n"),
        ("/tmp/c", "over\n"),
        ("/session/link", "over\n"),
    ] {
        assert_eq!(text(&capsule, path).expect(path), expected);
    }
    let files = capsule.files().expect("files");
    let draft = files.create("/session/uploads/new").expect("a draft");
    draft.file().write_all(b"from the host").expect("written");
    assert!(files.list("/session/uploads", 10).expect("a list").entries.is_empty(), "a draft has no name");
    draft.keep().expect("kept");
    drop(files.create("/session/uploads/dropped").expect("a draft"));
    let entries = files.list("/session/uploads", 10).expect("a list").entries;
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].name.to_str(), entries[0].kind, entries[0].size), (Some("new"), FileKind::File, 13));
    files.make_directory("/session/uploads/folder", None).expect("made");
    files.make_directory("/session/uploads/folder", None).expect("there");
    let seen =
        shell(&capsule, User::Ordinary, "cd /session/uploads; ls -A; cat new; echo more >> new; touch folder/mine")
            .await;
    assert_eq!(seen.text, "folder\nnew\nfrom the host");
    drop(files);
    capsule.destroy().await.expect("destroyed");
    assert!(capsule.files().is_err(), "nothing is left to be reached");
    machine.finish().await;
}

#[tokio::test]
async fn hostile_names_lead_nowhere() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("hostile", Profile::Browser).await;
    let script = "cd /session/downloads; ln -s /etc/shadow host; ln -s ../../../../../../etc/hostname up; mkfifo pipe; \
        ln -s /dev/tty terminal; ln -s loop loop; mkdir folder; ln -s /proc/1/root/etc magic; ln -s /proc/1/environ kernel; \
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")' 2>/dev/null || true";
    shell(&capsule, User::Ordinary, script).await;
    let below = |name: &str| format!("/session/downloads/{name}");
    // The capsule's own, whatever the number of steps up.
    assert_eq!(text(&capsule, &below("up")).expect("readable"), "capsule\n");
    let host = std::fs::read_to_string("/etc/shadow").unwrap_or_default();
    assert!(text(&capsule, &below("host")).is_err() || text(&capsule, &below("host")).expect("readable") != host);
    for name in ["pipe", "terminal", "folder", "kernel"] {
        assert!(matches!(text(&capsule, &below(name)), Err(FileError::NotAFile(_))), "{name}");
    }
    for name in ["loop", "magic/hostname", "none", "../../../../no/such"] {
        assert!(matches!(text(&capsule, &below(name)), Err(FileError::NotFound(_))), "{name}");
    }
    let files = capsule.files().expect("files");
    assert!(matches!(files.list("/proc", 10), Err(FileError::NotADirectory(_))));
    assert!(matches!(files.create(below("..")), Err(FileError::NotAPath(_))));
    // What has the name is replaced, not written through.
    let draft = files.create(below("host")).expect("a draft");
    draft.file().write_all(b"mine").expect("written");
    draft.keep().expect("kept");
    assert_eq!(text(&capsule, &below("host")).expect("readable"), "mine");
    assert!(files.create(below("folder")).expect("a draft").keep().is_err(), "a directory keeps its name");
    assert_eq!(files.list("/session/downloads", 3).expect("a list").entries.len(), 3);
    drop(files);
    machine.finish().await;
}
