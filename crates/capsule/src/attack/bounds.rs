//! Bombs: programs that take all they can get. A neighbour must not notice.

use std::time::Duration;

use vitrine_init::{Exec, User};

use super::{Attack, Carried, Ground, Means, Victim, could_not};

/// How long a bomb goes on before the neighbour is asked.
const BURN: Duration = Duration::from_millis(700);

pub(super) const ATTACKS: &[Attack] = &[
    bomb("fork-bomb", "start processes without end", |ground| {
        Box::pin(explode(ground, "b() { b | b & }; b; while :; do sh -c : & done"))
    }),
    bomb("memory-bomb", "take memory without end, as a program's own and as shared", |ground| {
        Box::pin(async {
            explode(ground, "perl -e '$x .= \"x\" x 1048576 while 1'").await?;
            explode(ground, "while :; do head -c 1G /dev/zero > /dev/shm/$RANDOM$$; done").await
        })
    }),
    bomb("file-bomb", "fill the small file systems that lie in memory, by bytes and by names", |ground| {
        Box::pin(async {
            explode(ground, "head -c 1G /dev/zero > /run/bomb; head -c 1G /dev/zero > /dev/bomb; sleep 9").await?;
            explode(ground, "cd /dev/shm; perl -e 'for ($n = 0;; $n++) { open(F, \">\", $n) or sleep 1 }'").await
        })
    }),
    bomb("disk-bomb", "fill the host's disk, by bytes, by names and by files with holes", |ground| {
        Box::pin(async {
            explode(ground, "cd /workspace; cat /dev/zero > bomb; cat /dev/zero > /var/bomb; sleep 9").await?;
            explode(ground, "cd /root; perl -e 'for ($n = 0;; $n++) { open(F, \">\", $n) or sleep 1 }'").await?;
            explode(ground, "cd /workspace; truncate -s 1T hole; shred -n 1 hole; sleep 9").await
        })
    }),
    bomb("descriptor-bomb", "open files and sockets without end", |ground| {
        let script = "for i in 1 2 3; do perl -MSocket -e 'while (1) { open($f[$n], \"<\", \"/dev/null\") or last; $n++ } \
                      while (socketpair($a[$m], $b[$m], AF_UNIX, SOCK_STREAM, 0)) { $m++ } sleep 9' & done; wait";
        Box::pin(explode(ground, script))
    }),
    bomb("output-bomb", "write output without end that nobody reads, or all at once", |ground| {
        Box::pin(explode(ground, "cat /dev/zero & yes & cat /dev/zero"))
    }),
    bomb("processor-bomb", "take all processors for itself", |ground| {
        Box::pin(explode(ground, "for i in 1 2 3 4 5 6 7 8; do perl -e '1 while 1' & done; wait"))
    }),
    bomb("request-bomb", "die while hundreds of programs are asked for", |ground| Box::pin(requests(ground))),
];

const fn bomb(name: &'static str, tries: &'static str, carry: for<'a> fn(&'a Ground) -> Carried<'a>) -> Attack {
    Attack { name, tries, means: Means::Host(carry) }
}

/// Run a bomb; meanwhile its capsule keeps to its limits, and afterwards both capsules live.
async fn explode(ground: &Ground, script: &str) -> Result<(), String> {
    let neighbour = ground.neighbour().await?;
    let victim = ground.attacker().await?;
    let exec = Exec { user: User::Root, ..Exec::new(["/bin/sh", "-c", script]) };
    victim.capsule.exec(exec).await.map_err(could_not)?;
    tokio::time::sleep(BURN).await;
    let (used, limits) = (victim.capsule.usage().map_err(could_not)?, ground.limits());
    if used.pids > limits.pids_max {
        return Err(format!("it has {} processes", used.pids));
    }
    if used.memory_bytes > limits.memory_bytes {
        return Err(format!("it has {} bytes of memory", used.memory_bytes));
    }
    neighbour.lives().await.map_err(|breach| format!("its neighbour: {breach}"))?;
    end(&victim).await?;
    for id in [Ground::ID, Ground::NEIGHBOUR_ID] {
        ground.end(id).await?;
    }
    Ok(())
}

/// Everything in it ends on demand, however much there is, and it is as good as before.
async fn end(victim: &Victim) -> Result<(), String> {
    victim.kill_all().await?;
    // Those that were just starting are killed as they come.
    for _ in 0..20 {
        if victim.capsule.usage().map_err(could_not)?.pids <= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        victim.kill_all().await?;
    }
    victim.lives().await
}

async fn requests(ground: &Ground) -> Result<(), String> {
    let victim = ground.attacker().await?;
    let ask = |_| {
        let capsule = victim.capsule.clone();
        // Most find no room; what counts is that each is told so.
        tokio::spawn(async move { drop(capsule.exec(Exec::new(["/bin/sleep", "9"])).await) })
    };
    let asked: Vec<_> = (0..300).map(ask).collect();
    victim.kill_all().await?;
    for one in asked {
        one.await.map_err(|error| error.to_string())?;
    }
    end(&victim).await
}
