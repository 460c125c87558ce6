//! A capsule's life: programs start, end and are followed; a capsule is found again; nothing is left.

mod support;

use std::time::{Duration, Instant};

use support::{Machine, shell};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vitrine_capsule::{Exec, Exit, Profile, Stdio, User};

#[tokio::test]
async fn the_check_passes() {
    let machine = Machine::new().await;
    machine.native.check(&machine.rootfs).await.expect("isolation works");
    machine.finish().await;
}

#[tokio::test]
async fn look_around() {
    let machine = Machine::new().await;
    for profile in [Profile::Browser, Profile::Sandbox] {
        let started = Instant::now();
        let capsule = machine.capsule(&format!("a-{profile:?}").to_lowercase(), profile).await;
        println!("create {:?}", started.elapsed());
        let script = "id; ps aux; mount; ls -la / /dev /session /etc/resolv.conf; cat /proc/net/dev /proc/self/status; hostname; cat /etc/hosts; cat /proc/self/cgroup; cat /proc/1/status | grep Vm; ls /proc/sys/net/ipv6; echo ok > /tmp/x; echo 1 > /etc/x; touch /session/x";
        println!("{}", shell(&capsule, User::Root, script).await.text);
        println!("{}", shell(&capsule, User::Ordinary, script).await.text);
        println!("{:?}", capsule.usage());
    }
    machine.finish().await;
}
