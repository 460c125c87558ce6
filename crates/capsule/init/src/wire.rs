//! The messages of the control socket.
//!
//! A request carries a number that its answer repeats; exits are told to every connection without being asked. Neither
//! side trusts the other's sizes. Terminals and files will be further calls; what is bulky travels in descriptors.

use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub seq: u64,
    pub call: Call,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Call {
    /// Start a program; with `Stdio::Pipes` the descriptors named there travel beside the message, in that order.
    Exec(Box<Exec>),
    /// Signal the process group of a program or, without one, every process of the capsule.
    Kill { exec: Option<u64>, signal: i32 },
    /// Programs with an id above `after`, running and lately finished, [`crate::LIST_MAX`] at most.
    List { after: u64 },
    /// Write the last output of a program with `Stdio::Tail` to the descriptor beside the message.
    Tail { exec: u64 },
}

/// A program to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exec {
    /// A label by which a host that connects again knows the program.
    pub name: String,
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    pub cwd: String,
    pub user: User,
    pub stdio: Stdio,
}

impl Exec {
    /// A detached program of the ordinary user in `/`, with an environment of nothing but a usual search path.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let path = ("PATH".into(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
        Self {
            name: String::new(),
            argv: argv.into_iter().map(Into::into).collect(),
            env: vec![path],
            cwd: "/".into(),
            user: User::Ordinary,
            stdio: Stdio::Tail,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// Root of the capsule's user namespace.
    Root,
    /// The image's ordinary user.
    Ordinary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// The caller's pipes; what is false reads nothing or writes nowhere.
    Pipes { stdin: bool, stdout: bool, stderr: bool },
    /// For programs that outlive their caller: init keeps the last [`crate::TAIL_BYTES_MAX`] of the output.
    Tail,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    Answer { seq: u64, answer: Result<Answer, Refusal> },
    Exited { exec: u64, exit: Exit },
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    Started { exec: u64 },
    Done,
    Execs(Vec<ExecState>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExecState {
    pub exec: u64,
    pub name: String,
    /// Nothing while it runs.
    pub exit: Option<Exit>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// Why init did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The request does not make sense: what about it.
    Malformed(String),
    /// No program with this id runs (or, for `Tail`, is remembered).
    NoSuchExec,
    /// [`crate::EXECS_MAX`] programs run.
    TooMany,
    /// The program could not be started: the system's error number.
    NotStarted(i32),
    /// The system refused: its error number.
    System(i32),
}
