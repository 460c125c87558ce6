//! The escape suite, in capsules of every driver that is installed.

mod support;

use support::{MIB, Machine};
use vitrine_capsule::Disks;
use vitrine_capsule::attack::{Bare, Ground, attacks};

#[tokio::test]
async fn no_attack_gets_through_any_driver() {
    let machine = Machine::new().await;
    let disks = Disks::open(machine.config.directory.with_file_name("disks"), 256 * MIB).expect("disks");
    let mut breaches = Vec::new();
    for driver in machine.drivers() {
        let ground = Ground::new(machine.native.clone(), disks.clone(), driver.clone(), &machine.rootfs, Bare);
        for attack in attacks() {
            let outcome = ground.carry_out(&attack).await;
            breaches.extend(outcome.breach.map(|breach| format!("{driver}: {}: {breach}", outcome.attack)));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    machine.finish().await;
}
