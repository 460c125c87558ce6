//! The messages of the control socket.
//!
//! A request carries a number that its answer repeats; exits are told to every connection without being asked. Neither
//! side trusts the other's sizes. What is bulky travels in descriptors.

use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub seq: u64,
    pub call: Call,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Call {
    /// Start a program; with `Stdio::Pipes` the descriptors named there travel beside the message, in that order; with
    /// `Stdio::Terminal` the terminal's master travels beside the answer.
    Exec(Box<Exec>),
    Kill {
        whom: Whom,
        signal: i32,
    },
    /// Programs with an id above `after`, running and lately finished, [`crate::LIST_MAX`] at most.
    List {
        after: u64,
    },
    /// Write the last output of a program with `Stdio::Tail` to the descriptor beside the message.
    Tail {
        exec: u64,
    },
    /// The master of the terminal of a program with `Stdio::Terminal` travels beside the answer, once more.
    Terminal {
        exec: u64,
    },
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whom {
    /// Every process of the capsule but the first.
    Everybody,
    /// The process group of a program.
    Group(u64),
    /// All that a program has started, directly or not, wherever it went; also after the program's own end.
    Tree(u64),
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
    /// A terminal of its own, which controls the program's session; init keeps a copy of its master.
    Terminal { cols: u16, rows: u16 },
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    Answer { seq: u64, answer: Result<Answer, Refusal> },
    Exited { exec: u64, ended: Ended },
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
    /// Whether it was started with a terminal.
    pub terminal: bool,
    /// Nothing while it runs.
    pub ended: Option<Ended>,
}

/// A program's end, and what it used together with all of its children that it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub exit: Exit,
    /// Processor time, of the program and the kernel on its behalf.
    pub cpu_ms: u64,
    /// The most memory that one of them had at once.
    pub peak_memory_bytes: u64,
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
    /// No program with this id runs or, for `Tail` and `Terminal`, is remembered and has one.
    NoSuchExec,
    /// [`crate::EXECS_MAX`] programs run.
    TooMany,
    /// The program could not be started: the system's error number.
    NotStarted(i32),
    /// The system refused: its error number.
    System(i32),
}
