//! What is tried with the beginning and the end of a capsule: calls to one that is frozen, dying or dead.

use std::time::{Duration, Instant};

use vitrine_init::{Exec, User};

use super::{Attack, Carried, Ground, Means, could_not};

/// Nobody may be kept waiting longer by what a capsule does or does not do.
const PROMPT: Duration = Duration::from_secs(5);

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "kill-everything",
        tries: "signal all processes there are, and process 1 with every signal",
        means: Means::Host(kill_everything),
    },
    Attack {
        name: "frozen",
        tries: "keep the host waiting by a frozen capsule: programs asked for, its files, its end",
        means: Means::Host(frozen),
    },
    Attack {
        name: "end-during-exec",
        tries: "keep a capsule alive, or its caller waiting, by a program that ignores signals",
        means: Means::Host(end_during_exec),
    },
    Attack {
        name: "privileges-regained",
        tries: "become root, or gain capabilities, by set-user-id programs and file capabilities",
        means: Means::Host(privileges_regained),
    },
];

fn kill_everything(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let victim = ground.attacker().await?;
        for user in [User::Ordinary, User::Root] {
            // The shell is among those it kills, so nothing is expected of it.
            let script = "for s in $(seq 1 64); do kill -$s 1 2>/dev/null; done; kill -9 -1";
            let exec = Exec { user, ..Exec::new(["/bin/sh", "-c", script]) };
            let process = victim.capsule.exec(exec).await.map_err(could_not)?;
            let ended = tokio::time::timeout(PROMPT, process.wait()).await;
            let ended = ended.map_err(|_| "the end of a program was not told".to_owned())?;
            if victim.has_ended().await {
                return Ok(());
            }
            ended.map_err(could_not)?;
            victim.lives().await.map_err(|breach| format!("as {user:?}: {breach}"))?;
        }
        Ok(())
    })
}

fn frozen(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let victim = ground.attacker().await?;
        let capsule = &victim.capsule;
        capsule.exec(Exec::new(["/bin/sh", "-c", "while :; do :; done"])).await.map_err(could_not)?;
        capsule.freeze().await.map_err(could_not)?;
        let answer = tokio::time::timeout(PROMPT, capsule.exec(Exec::new(["/bin/true"]))).await;
        match answer {
            Err(_) => return Err("whoever asks a frozen capsule waits".into()),
            Ok(Ok(_)) => return Err("a frozen capsule started a program".into()),
            Ok(Err(_)) => {}
        }
        capsule.thaw().map_err(could_not)?;
        victim.lives().await?;
        capsule.freeze().await.map_err(could_not)?;
        match tokio::time::timeout(PROMPT, capsule.destroy()).await {
            Ok(ended) => ended.map_err(could_not),
            Err(_) => Err("a frozen capsule does not end".into()),
        }
    })
}

fn end_during_exec(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let victim = ground.attacker().await?;
        let script =
            "trap '' HUP INT TERM; (trap '' HUP INT TERM; while :; do sleep 1; done) & while :; do sleep 1; done";
        let process = victim.capsule.exec(Exec::new(["/bin/sh", "-c", script])).await.map_err(could_not)?;
        let waiting = tokio::spawn(async move { process.wait().await });
        let started = Instant::now();
        victim.capsule.destroy().await.map_err(could_not)?;
        let told = tokio::time::timeout(PROMPT, waiting).await;
        match told {
            Err(_) => Err("whoever waited for the program waits still".into()),
            Ok(_) if started.elapsed() > PROMPT => Err("it took its time".into()),
            Ok(_) => Ok(()),
        }
    })
}

fn privileges_regained(ground: &Ground) -> Carried<'_> {
    Box::pin(async {
        let victim = ground.attacker().await?;
        let prepare = "cp /usr/bin/id /usr/local/bin/id-as-root && chmod 4755 /usr/local/bin/id-as-root && \
                       cp /usr/bin/perl /usr/local/bin/perl-as-root && chmod 6755 /usr/local/bin/perl-as-root";
        victim.holds(User::Root, prepare).await?;
        let attempt = "[ \"$(/usr/local/bin/id-as-root -u)\" = 1000 ] || echo 'ESCAPED: is root'\n\
                       /usr/local/bin/perl-as-root -e '$> = 0; print \"ESCAPED: became root\\n\" if $> == 0'\n\
                       grep -E -q 'CapEff:.*[1-9a-f]' /proc/self/status && echo 'ESCAPED: has capabilities'\n\
                       su root -c 'echo ESCAPED: su' </dev/null >/tmp/su 2>/dev/null; grep ESCAPED /tmp/su; true";
        victim.holds(User::Ordinary, attempt).await
    })
}
