//! What people run in sandboxes runs in them, within the filter and without privileges.

mod support;

use support::{Machine, shell};
use vitrine_capsule::{Exit, Profile, User};

#[tokio::test]
async fn the_images_tools_work() {
    let machine = Machine::with_image("standard").await;
    let capsule = machine.capsule("tools", Profile::Sandbox).await;
    let package = "mkdir -p p/DEBIAN && printf 'Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: m\\nDescription: d\\n' \
                   > p/DEBIAN/control && dpkg-deb -b p p.deb > /dev/null && dpkg -i p.deb > /dev/null && \
                   dpkg -s p | grep -c 'ok installed'";
    let commit = "git init -q r && cd r && git -c user.name=a -c user.email=b commit -q --allow-empty -m m && \
                  git log --format=%s";
    let scripts = [
        ("node -e 'require(\"fs\").writeFileSync(\"n\", \"x\"); console.log(1 + 1)'", "2\n", User::Ordinary),
        ("bun -e 'await Bun.write(\"b\", \"x\"); console.log(await Bun.file(\"b\").text())'", "x\n", User::Ordinary),
        ("python3 -m venv v && v/bin/python -c 'import ssl, subprocess; print(3)'", "3\n", User::Ordinary),
        (commit, "m\n", User::Ordinary),
        (package, "1\n", User::Root),
    ];
    for (script, expected, least) in scripts {
        for user in [User::Root, least] {
            let fresh = "export HOME=$(mktemp -d); cd $HOME";
            let output = shell(&capsule, user, &format!("{fresh}; {script}")).await;
            assert_eq!((output.text.as_str(), output.exit), (expected, Exit::Code(0)), "{user:?} {script}");
        }
    }
    machine.finish().await;
}
