//! The host's side of the conversation with a capsule's init.
//!
//! Assumes that init may be taken over by hostile programs: its sizes, ids and words are checked, and nothing it says
//! costs more than a bounded amount of memory. One task owns the socket; it ends with the last handle or the socket.

mod process;
mod socket;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use vitrine_init::{Answer, Call, ExecState, Exit, LIST_MAX, Message, Refusal, Request};

use crate::CapsuleError;
use crate::error::Doing;
pub use process::Process;
use socket::Socket;

/// Calls that wait to be sent.
const CALLS_MAX: usize = 256;
/// Programs that are followed at once; init runs no more at once, and finished ones are let go of.
const FOLLOWED_MAX: usize = 4096;

/// Init answers within a millisecond; hostile programs may have stopped it.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

/// How a program ended, once it has.
pub(crate) type Ending = watch::Receiver<Option<Exit>>;

#[derive(Clone, Debug)]
pub(crate) struct Client {
    calls: mpsc::Sender<Outgoing>,
    _conversation: Arc<Conversation>,
}

/// The task that converses; ended by the last handle.
#[derive(Debug)]
struct Conversation(JoinHandle<()>);

impl Drop for Conversation {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Outgoing {
    call: Call,
    descriptors: Vec<OwnedFd>,
    reply: oneshot::Sender<Reply>,
}

/// An answer, with what is needed to follow the program that it started.
type Reply = (Result<Answer, Refusal>, Option<Ending>);

impl Client {
    /// Connect to the init whose control socket is in this folder; also gives its process.
    pub async fn connect(control: &Path) -> Result<(Self, OwnedFd), CapsuleError> {
        let (socket, init) = Socket::connect(control).doing(|| format!("call init at {}", control.display()))?;
        let (calls, outgoing) = mpsc::channel(CALLS_MAX);
        let talk = Talk { socket, waiting: HashMap::new(), followed: HashMap::new(), sent: 0 };
        let conversation = Arc::new(Conversation(tokio::spawn(talk.run(outgoing))));
        Ok((Self { calls, _conversation: conversation }, init))
    }

    pub async fn start(&self, call: Call, descriptors: Vec<OwnedFd>) -> Result<(u64, Ending), CapsuleError> {
        match self.call(call, descriptors).await? {
            (Answer::Started { exec }, Some(ending)) => Ok((exec, ending)),
            _ => Err(CapsuleError::Lost),
        }
    }

    pub async fn order(&self, call: Call, descriptors: Vec<OwnedFd>) -> Result<(), CapsuleError> {
        match self.call(call, descriptors).await? {
            (Answer::Done, _) => Ok(()),
            _ => Err(CapsuleError::Lost),
        }
    }

    /// All programs that run or lately ended.
    pub async fn list(&self) -> Result<Vec<ExecState>, CapsuleError> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or(0, |state: &ExecState| state.exec);
            let page = self.page(after).await?.0;
            let last = page.len() < LIST_MAX || all.len() > FOLLOWED_MAX;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// Follow a program that runs or lately ended.
    pub async fn follow(&self, exec: u64) -> Result<Ending, CapsuleError> {
        let (page, ending) = self.page(exec.saturating_sub(1)).await?;
        match page.first() {
            Some(state) if state.exec == exec => ending.ok_or(CapsuleError::Lost),
            _ => Err(CapsuleError::Refused(Refusal::NoSuchExec)),
        }
    }

    /// The programs above `after`, and the ending of the first.
    async fn page(&self, after: u64) -> Result<(Vec<ExecState>, Option<Ending>), CapsuleError> {
        match self.call(Call::List { after }, Vec::new()).await? {
            (Answer::Execs(states), ending) => Ok((states, ending)),
            _ => Err(CapsuleError::Lost),
        }
    }

    async fn call(&self, call: Call, descriptors: Vec<OwnedFd>) -> Result<(Answer, Option<Ending>), CapsuleError> {
        let (reply, answer) = oneshot::channel();
        let outgoing = Outgoing { call, descriptors, reply };
        self.calls.send(outgoing).await.map_err(|_| CapsuleError::Lost)?;
        let answer = tokio::time::timeout(ANSWER_DEADLINE, answer).await.map_err(|_| CapsuleError::Lost)?;
        let (answer, ending) = answer.map_err(|_| CapsuleError::Lost)?;
        Ok((answer.map_err(CapsuleError::Refused)?, ending))
    }
}

struct Talk {
    socket: Socket,
    /// Who waits for the answer to which request.
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    /// Whom to tell of which program's end.
    followed: HashMap<u64, watch::Sender<Option<Exit>>>,
    sent: u64,
}

impl Talk {
    /// Everybody who waits learns of the end by the closing of their channels.
    async fn run(mut self, mut outgoing: mpsc::Receiver<Outgoing>) {
        loop {
            tokio::select! {
                call = outgoing.recv() => match call {
                    Some(call) => if !self.send(call).await { return },
                    None => return,
                },
                message = self.socket.receive() => match message {
                    Some(message) => self.hear(message),
                    None => return,
                },
            }
        }
    }

    /// Whether the conversation can go on.
    async fn send(&mut self, outgoing: Outgoing) -> bool {
        self.sent += 1;
        let request = Request { seq: self.sent, call: outgoing.call };
        match self.socket.send(&request, &outgoing.descriptors).await {
            Ok(()) => {
                // Those who have stopped waiting need no place.
                self.waiting.retain(|_, reply| !reply.is_closed());
                self.waiting.insert(self.sent, outgoing.reply);
                true
            }
            Err(rustix::io::Errno::MSGSIZE) => {
                let refusal = Refusal::Malformed("the command and its environment are too long".into());
                // The caller may have stopped waiting.
                let _ = outgoing.reply.send((Err(refusal), None));
                true
            }
            Err(_) => false,
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Answer { seq, answer } => {
                let Some(reply) = self.waiting.remove(&seq) else { return };
                let ending = match &answer {
                    Ok(Answer::Started { exec }) => self.follow(*exec, None),
                    Ok(Answer::Execs(states)) => states.first().and_then(|state| self.follow(state.exec, state.exit)),
                    _ => None,
                };
                // The caller may have stopped waiting.
                let _ = reply.send((answer, ending));
            }
            Message::Exited { exec, exit } => {
                if let Some(followed) = self.followed.remove(&exec) {
                    followed.send_replace(Some(exit));
                }
            }
        }
    }

    fn follow(&mut self, exec: u64, exit: Option<Exit>) -> Option<Ending> {
        if exit.is_some() {
            return Some(watch::channel(exit).1);
        }
        // Nobody waits for these any more.
        self.followed.retain(|_, followed| followed.receiver_count() > 0);
        if let Some(followed) = self.followed.get(&exec) {
            return Some(followed.subscribe());
        }
        if self.followed.len() >= FOLLOWED_MAX {
            return None;
        }
        let (followed, ending) = watch::channel(None);
        self.followed.insert(exec, followed);
        Some(ending)
    }
}
