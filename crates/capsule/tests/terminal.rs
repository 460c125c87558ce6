//! Terminals: what a person types reaches the program, and what the program draws reaches the person.

mod support;

use std::time::Duration;

use support::{Machine, shell};
use tokio::time::timeout;
use vitrine_capsule::{Capsule, Ended, Exec, Exit, Process, Profile, Stdio, Terminal, User};

const SOON: Duration = Duration::from_secs(20);
const INTERRUPT: &[u8] = &[3];
const ERASE: &[u8] = &[0x7f];

/// A program and who sits before it.
struct Seat {
    process: Process,
    terminal: Terminal,
    seen: Vec<u8>,
}

impl Seat {
    async fn take(capsule: &Capsule, user: User, script: &str) -> Self {
        let stdio = Stdio::Terminal { cols: 80, rows: 24 };
        let argv: &[&str] = if script.is_empty() { &["/bin/sh"] } else { &["/bin/sh", "-c", script] };
        let mut exec = Exec { user, stdio, cwd: "/tmp".into(), ..Exec::new(argv.iter().copied()) };
        exec.env.extend([("TERM".into(), "xterm-256color".into()), ("PS1".into(), "> ".into())]);
        let mut process = capsule.exec(exec).await.expect("starts");
        let terminal = process.take_terminal().expect("a terminal");
        Self { process, terminal, seen: Vec::new() }
    }

    async fn type_in(&self, text: impl AsRef<[u8]>) {
        self.terminal.write_all(text.as_ref()).await.expect("typed");
    }

    /// Look until this is there, and forget everything up to it.
    async fn see(&mut self, wanted: impl AsRef<[u8]>) {
        let wanted = wanted.as_ref();
        let find = |seen: &[u8]| seen.windows(wanted.len()).position(|part| part == wanted);
        loop {
            if let Some(place) = find(&self.seen) {
                self.seen.drain(..place + wanted.len());
                return;
            }
            let more = self.read().await;
            assert!(
                more,
                "{:?} never came, but {:?}",
                String::from_utf8_lossy(wanted),
                String::from_utf8_lossy(&self.seen)
            );
        }
    }

    /// Whether there is more to come.
    async fn read(&mut self) -> bool {
        let mut part = [0; 4096];
        let Ok(count) = timeout(SOON, self.terminal.read(&mut part)).await else { return false };
        let count = count.expect("readable");
        self.seen.extend(&part[..count]);
        count > 0
    }

    async fn rest(&mut self) -> String {
        while self.read().await {}
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    async fn end(&self) -> Ended {
        timeout(SOON, self.process.wait()).await.expect("in time").expect("told")
    }
}

#[tokio::test]
async fn a_shell_echoes_answers_and_ends() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("shell", Profile::Sandbox).await;
    for user in [User::Root, User::Ordinary] {
        let mut seat = Seat::take(&capsule, user, "").await;
        seat.type_in("echo $((6 * 7)) $(tty) $TERM\n").await;
        seat.see("echo $((6 * 7)) $(tty) $TERM\r\n").await;
        seat.see("42 /dev/pts/").await;
        seat.see(" xterm-256color\r\n").await;
        // It leads a session that this terminal controls, and may write to it by its name.
        seat.type_in("test $(ps -o sid= -p $$) -eq $$ && ps -o tpgid= -p $$ && echo by name > $(tty)\n").await;
        seat.see("\r\nby name\r\n").await;
        seat.type_in("exit 3\n").await;
        assert_eq!(seat.end().await.exit, Exit::Code(3));
        seat.rest().await;
    }
    machine.finish().await;
}

#[tokio::test]
async fn a_new_size_is_told_and_seen() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("size", Profile::Sandbox).await;
    let script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done";
    let mut seat = Seat::take(&capsule, User::Root, script).await;
    seat.see("24 80\r\n").await;
    for (cols, rows) in [(132, 43), (1, 1), (500, 200)] {
        seat.terminal.resize(cols, rows).expect("resized");
        seat.see(format!("{rows} {cols}\r\n")).await;
    }
    seat.process.kill_tree(9).await.expect("killed");
    assert_eq!(seat.end().await.exit, Exit::Signal(9));
    machine.finish().await;
}

#[tokio::test]
async fn an_interrupt_reaches_the_foreground_alone() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("interrupt", Profile::Sandbox).await;
    let mut seat = Seat::take(&capsule, User::Root, "").await;
    seat.type_in("sleep 1000 & echo in the b''ack\n").await;
    seat.see("in the back\r\n").await;
    seat.type_in("echo n''ow; cat\n").await;
    seat.see("now\r\n").await;
    seat.type_in("to the cat\n").await;
    seat.see("to the cat\r\nto the cat\r\n").await;
    seat.type_in(INTERRUPT).await;
    seat.see("> ").await;
    seat.type_in("echo stat''us $?; jobs\n").await;
    seat.see("status 130\r\n").await;
    seat.see("sleep 1000").await;
    // The shell's end is the terminal's end, and nothing waits for what is in the background.
    seat.type_in("exit\n").await;
    seat.end().await;
    machine.finish().await;
}

#[tokio::test]
async fn full_screen_programs_get_and_give_every_byte() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("bytes", Profile::Sandbox).await;
    let script = "stty raw -echo; printf '\\033[?1049h\\033[2J\\033[1;1H'; head -c 256; printf '\\033[?1049l'";
    let mut seat = Seat::take(&capsule, User::Root, script).await;
    seat.see("\x1b[?1049h\x1b[2J\x1b[1;1H").await;
    let every: Vec<u8> = (0..=255).collect();
    seat.type_in(&every).await;
    seat.see(&every).await;
    seat.see("\x1b[?1049l").await;
    assert_eq!(seat.end().await.exit, Exit::Code(0));
    machine.finish().await;
}

#[tokio::test]
async fn a_character_of_many_bytes_is_one() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("text", Profile::Sandbox).await;
    let mut seat = Seat::take(&capsule, User::Root, "read -r line; printf '<%s>' \"$line\"").await;
    seat.type_in("żółw 🐢ü").await;
    seat.type_in(ERASE).await;
    seat.type_in("€\n").await;
    seat.see("<żółw 🐢€>").await;
    machine.finish().await;
}

#[tokio::test]
async fn nobody_types_for_somebody_else() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("fake", Profile::Sandbox).await;
    let fake = "perl -e '$x = \"x\"; for (0x5412, 0x541c) { print ioctl(STDIN, $_, $x) ? \"done\" : \"$!\", \" \" }'";
    let mut seat = Seat::take(&capsule, User::Root, fake).await;
    assert_eq!(seat.rest().await, "Operation not permitted Operation not permitted ");
    machine.finish().await;
}

#[tokio::test]
async fn the_last_words_are_heard() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("words", Profile::Sandbox).await;
    for _ in 0..20 {
        let mut seat = Seat::take(&capsule, User::Root, "seq 1 500; echo the end").await;
        assert_eq!(seat.end().await.exit, Exit::Code(0));
        assert!(seat.rest().await.ends_with("\r\n500\r\nthe end\r\n"));
    }
    // Also by whoever comes after the end.
    let mut seat = Seat::take(&capsule, User::Root, "echo too late").await;
    seat.end().await;
    seat.process = capsule.attach(seat.process.id()).await.expect("remembered");
    seat.terminal = seat.process.take_terminal().expect("its terminal");
    assert_eq!(seat.rest().await, "too late\r\n");
    assert_eq!(seat.end().await.exit, Exit::Code(0));
    machine.finish().await;
}

#[tokio::test]
async fn a_program_that_nobody_reads_stops_nobody() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("unread", Profile::Sandbox).await;
    let flood = Seat::take(&capsule, User::Root, "yes").await;
    let deaf = Seat::take(&capsule, User::Root, "stty raw; exec sleep 1000").await;
    let stuffed = timeout(Duration::from_millis(500), deaf.type_in(vec![b'x'; 1 << 20])).await;
    assert!(stuffed.is_err(), "the kernel has no room for all of it");
    assert_eq!(shell(&capsule, User::Root, "echo heard").await.text, "heard\n");
    for seat in [flood, deaf] {
        seat.process.kill_tree(9).await.expect("killed");
        assert_eq!(seat.end().await.exit, Exit::Signal(9));
    }
    machine.finish().await;
}

#[tokio::test]
async fn a_hundred_terminals() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("hundred", Profile::Sandbox).await;
    let mut seats = Vec::new();
    for _ in 0..100 {
        seats.push(Seat::take(&capsule, User::Root, "read line; echo \"$line\" again").await);
    }
    for (number, seat) in seats.iter_mut().enumerate() {
        seat.type_in(format!("number {number}\n")).await;
        seat.see(format!("\nnumber {number} again\r\n")).await;
        assert_eq!(seat.end().await.exit, Exit::Code(0));
    }
    machine.finish().await;
}

/// Not a check but a figure.
#[tokio::test]
async fn an_echo_is_quick() {
    let machine = Machine::new().await;
    let capsule = machine.capsule("echo", Profile::Sandbox).await;
    let mut seat = Seat::take(&capsule, User::Root, "stty raw -echo; echo ready; exec cat").await;
    seat.see("ready\n").await;
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = std::time::Instant::now();
        seat.type_in("x").await;
        seat.see("x").await;
        times.push(started.elapsed());
    }
    times.sort();
    println!("echo: median {:?}, p95 {:?}", times[100], times[190]);
    assert!(times[100] < Duration::from_millis(50));
    machine.finish().await;
}
