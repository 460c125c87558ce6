//! The host's side of the conversation with a capsule's init.
//!
//! Assumes that init may be taken over by hostile programs: its sizes, ids and words are checked, and nothing it says
//! costs more than a bounded amount of memory. One task owns the socket; it ends with the last handle or the socket.

mod newborn;
mod process;
mod socket;
mod terminal;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use vitrine_init::{Answer, Call, Ended, ExecState, LIST_MAX, Message, Refusal, Request};

use crate::CapsuleError;
use crate::error::Doing;
use newborn::Newborn;
pub use process::Process;
use socket::Socket;
pub use terminal::Terminal;

/// Calls that wait to be sent.
const CALLS_MAX: usize = 256;
/// Programs that are followed at once; init runs no more at once, and finished ones are let go of.
const FOLLOWED_MAX: usize = 4096;

/// Init answers within a millisecond; hostile programs may have stopped it.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

/// How a program ended, once it has.
pub(crate) type Ending = watch::Receiver<Option<Ended>>;

#[derive(Clone, Debug)]
pub(crate) struct Client {
    calls: mpsc::Sender<Outgoing>,
    /// Nobody answers until somebody thaws the capsule.
    frozen: Arc<AtomicBool>,
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

/// An answer, with what came beside it.
struct Reply {
    answer: Result<Answer, Refusal>,
    heard: Heard,
}

#[derive(Default)]
struct Heard {
    /// What is needed to follow the program that was started, or the first that was named.
    ending: Option<Ending>,
    descriptor: Option<OwnedFd>,
    newborn: Option<Newborn>,
}

/// A program that can be followed, as init told of it.
pub(crate) struct Followed {
    pub exec: u64,
    pub ending: Ending,
    /// The master of its terminal.
    pub terminal: Option<OwnedFd>,
    /// To be claimed when it was just started.
    newborn: Option<Newborn>,
}

impl Client {
    /// Connect to the init whose control socket is in this folder; also gives its process.
    pub async fn connect(control: &Path) -> Result<(Self, OwnedFd), CapsuleError> {
        let (socket, init) = Socket::connect(control).doing(|| format!("call init at {}", control.display()))?;
        let (calls, outgoing) = mpsc::channel(CALLS_MAX);
        let (waiting, followed) = (HashMap::new(), HashMap::new());
        let talk = Talk { socket, calls: calls.downgrade(), waiting, followed, sent: 0 };
        let conversation = Arc::new(Conversation(tokio::spawn(talk.run(outgoing))));
        Ok((Self { calls, frozen: Arc::default(), _conversation: conversation }, init))
    }

    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Relaxed);
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    pub async fn start(&self, call: Call, descriptors: Vec<OwnedFd>) -> Result<Followed, CapsuleError> {
        match self.call(call, descriptors).await? {
            (Answer::Started { exec }, Heard { ending: Some(ending), descriptor, newborn }) => {
                Ok(Followed { exec, ending, terminal: descriptor, newborn })
            }
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
    pub async fn follow(&self, exec: u64) -> Result<Followed, CapsuleError> {
        let (page, ending) = self.page(exec.saturating_sub(1)).await?;
        let state = page.first().filter(|state| state.exec == exec);
        let state = state.ok_or(CapsuleError::Refused(Refusal::NoSuchExec))?;
        let terminal = match state.terminal {
            true => self.call(Call::Terminal { exec }, Vec::new()).await?.1.descriptor,
            false => None,
        };
        Ok(Followed { exec, ending: ending.ok_or(CapsuleError::Lost)?, terminal, newborn: None })
    }

    /// The programs above `after`, and the ending of the first.
    async fn page(&self, after: u64) -> Result<(Vec<ExecState>, Option<Ending>), CapsuleError> {
        match self.call(Call::List { after }, Vec::new()).await? {
            (Answer::Execs(states), heard) => Ok((states, heard.ending)),
            _ => Err(CapsuleError::Lost),
        }
    }

    async fn call(&self, call: Call, descriptors: Vec<OwnedFd>) -> Result<(Answer, Heard), CapsuleError> {
        if self.is_frozen() {
            return Err(CapsuleError::Frozen);
        }
        let (reply, answer) = oneshot::channel();
        let outgoing = Outgoing { call, descriptors, reply };
        self.calls.send(outgoing).await.map_err(|_| CapsuleError::Lost)?;
        let answer = tokio::time::timeout(ANSWER_DEADLINE, answer).await.map_err(|_| CapsuleError::Lost)?;
        let Reply { answer, heard } = answer.map_err(|_| CapsuleError::Lost)?;
        Ok((answer.map_err(CapsuleError::Refused)?, heard))
    }
}

struct Talk {
    socket: Socket,
    /// Our own queue, for what has to be said without being asked.
    calls: mpsc::WeakSender<Outgoing>,
    /// Who waits for the answer to which request.
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    /// Whom to tell of which program's end.
    followed: HashMap<u64, watch::Sender<Option<Ended>>>,
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
                    Some((message, descriptor)) => self.hear(message, descriptor),
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
                let _ = outgoing.reply.send(Reply { answer: Err(refusal), heard: Heard::default() });
                true
            }
            Err(_) => false,
        }
    }

    fn hear(&mut self, message: Message, descriptor: Option<OwnedFd>) {
        match message {
            Message::Answer { seq, answer } => {
                let mut heard = Heard { descriptor, ..Heard::default() };
                match &answer {
                    Ok(Answer::Started { exec }) => {
                        heard.newborn = Some(Newborn::new(*exec, self.calls.clone()));
                        heard.ending = self.follow(*exec, None);
                    }
                    Ok(Answer::Execs(states)) => {
                        heard.ending = states.first().and_then(|state| self.follow(state.exec, state.ended));
                    }
                    _ => {}
                }
                // The caller may have stopped waiting.
                let _ = self.waiting.remove(&seq).map(|reply| reply.send(Reply { answer, heard }));
            }
            Message::Exited { exec, ended } => {
                if let Some(followed) = self.followed.remove(&exec) {
                    followed.send_replace(Some(ended));
                }
            }
        }
    }

    fn follow(&mut self, exec: u64, ended: Option<Ended>) -> Option<Ending> {
        if ended.is_some() {
            return Some(watch::channel(ended).1);
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
