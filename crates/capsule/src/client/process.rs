//! A program that runs in a capsule, as its starter sees it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::PipeFlags;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use vitrine_init::{Call, Ended, Exec, Refusal, Stdio, TAIL_BYTES_MAX, Whom};

use super::newborn::Newborn;
use super::{Client, Ending, Followed, Terminal};
use crate::CapsuleError;
use crate::error::Doing;

/// Dropping it lets go of the pipes or the terminal and leaves the program alone.
#[derive(Debug)]
pub struct Process {
    client: Client,
    id: u64,
    ending: Ending,
    stdin: Option<pipe::Sender>,
    stdout: Option<pipe::Receiver>,
    stderr: Option<pipe::Receiver>,
    terminal: Option<Terminal>,
}

impl Process {
    pub(crate) async fn start(client: Client, exec: Exec) -> Result<Self, CapsuleError> {
        let (mut stdin, mut stdout, mut stderr) = (None, None, None);
        let mut theirs = Vec::new();
        if let Stdio::Pipes { stdin: input, stdout: output, stderr: error } = exec.stdio {
            let what = || "make pipes".into();
            if input {
                let (reading, writing) = new_pipe().doing(what)?;
                stdin = Some(pipe::Sender::from_owned_fd(nonblocking(writing).doing(what)?).doing(what)?);
                theirs.push(reading);
            }
            for (wanted, ours) in [(output, &mut stdout), (error, &mut stderr)] {
                if wanted {
                    let (reading, writing) = new_pipe().doing(what)?;
                    *ours = Some(pipe::Receiver::from_owned_fd(nonblocking(reading).doing(what)?).doing(what)?);
                    theirs.push(writing);
                }
            }
        }
        let followed = client.start(Call::Exec(Box::new(exec)), theirs).await?;
        Ok(Self { stdin, stdout, stderr, ..Self::of(client, followed)? })
    }

    pub(crate) async fn attach(client: Client, id: u64) -> Result<Self, CapsuleError> {
        let followed = client.follow(id).await?;
        Self::of(client, followed)
    }

    fn of(client: Client, followed: Followed) -> Result<Self, CapsuleError> {
        let Followed { exec: id, ending, terminal, newborn } = followed;
        let terminal = terminal.map(Terminal::new).transpose().doing(|| "use the program's terminal".into())?;
        newborn.into_iter().for_each(Newborn::claim);
        Ok(Self { client, id, ending, stdin: None, stdout: None, stderr: None, terminal })
    }

    /// Unique in its capsule, and the same for whoever attaches to it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How it ended, when it has: the program itself, whatever those do that it started.
    pub async fn wait(&self) -> Result<Ended, CapsuleError> {
        let mut ending = self.ending.clone();
        let ended = ending.wait_for(Option::is_some).await.map_err(|_| CapsuleError::Lost)?;
        (*ended).ok_or(CapsuleError::Lost)
    }

    /// Signal its process group; a program that has ended is no error.
    pub async fn kill(&self, signal: i32) -> Result<(), CapsuleError> {
        match self.client.order(Call::Kill { whom: Whom::Group(self.id), signal }, Vec::new()).await {
            Err(CapsuleError::Refused(Refusal::NoSuchExec)) => Ok(()),
            other => other,
        }
    }

    /// Signal it and all that it started, also what went into the background, into a session of its own or from parent to
    /// parent, and also when the program itself has ended.
    pub async fn kill_tree(&self, signal: i32) -> Result<(), CapsuleError> {
        self.client.order(Call::Kill { whom: Whom::Tree(self.id), signal }, Vec::new()).await
    }

    /// The last output of a program with [`Stdio::Tail`], at most 64 KiB.
    pub async fn tail(&self) -> Result<Vec<u8>, CapsuleError> {
        let what = || "read the last output".into();
        let (reading, writing) = new_pipe().doing(what)?;
        let reading = pipe::Receiver::from_owned_fd(nonblocking(reading).doing(what)?).doing(what)?;
        self.client.order(Call::Tail { exec: self.id }, vec![writing]).await?;
        let mut output = Vec::new();
        reading.take(TAIL_BYTES_MAX as u64).read_to_end(&mut output).await.doing(what)?;
        Ok(output)
    }

    pub fn take_stdin(&mut self) -> Option<pipe::Sender> {
        self.stdin.take()
    }

    pub fn take_stdout(&mut self) -> Option<pipe::Receiver> {
        self.stdout.take()
    }

    pub fn take_stderr(&mut self) -> Option<pipe::Receiver> {
        self.stderr.take()
    }

    /// Of a program with [`Stdio::Terminal`]; whoever attaches to the program has it too.
    pub fn take_terminal(&mut self) -> Option<Terminal> {
        self.terminal.take()
    }
}

fn new_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

/// Only our end: the program expects one that blocks.
fn nonblocking(ours: OwnedFd) -> io::Result<OwnedFd> {
    rustix::fs::fcntl_setfl(&ours, rustix::fs::OFlags::NONBLOCK)?;
    Ok(ours)
}
