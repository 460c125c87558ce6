//! Process 1 at work: one thread that waits for requests, exits and output, and blocks for nobody (but for the bounded
//! moment in which a tree of processes is caught).
//!
//! Assumes the confinement is complete. Promises to reap every process of the capsule, to tell every connection of
//! every exit, to drop a connection that does not read, and to keep what it remembers bounded.

mod connection;
mod programs;
mod spawn;
mod tail;
mod tree;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use vitrine_init::{Answer, Call, MESSAGE_BYTES_MAX, Message, Refusal, Request};

use connection::{Connection, Received};
use programs::Programs;

use crate::sys;

/// Connections at once: the node's, and one that takes over from it.
const CONNECTIONS_MAX: usize = 8;
const EVENTS_MAX: usize = 64;

/// What a readiness is about, as the number that epoll carries.
#[derive(Clone, Copy)]
enum Source {
    Listener,
    Children,
    Connection(u32),
    /// The output of the program with this id.
    Output(u64),
}

impl Source {
    const KIND_SHIFT: u32 = 56;

    fn data(self) -> EventData {
        let (kind, id) = match self {
            Self::Listener => (0, 0),
            Self::Children => (1, 0),
            Self::Connection(id) => (2, u64::from(id)),
            Self::Output(exec) => (3, exec),
        };
        EventData::new_u64(kind << Self::KIND_SHIFT | id)
    }

    fn of(data: EventData) -> Self {
        let id = data.u64() & ((1 << Self::KIND_SHIFT) - 1);
        match data.u64() >> Self::KIND_SHIFT {
            0 => Self::Listener,
            1 => Self::Children,
            2 => Self::Connection(id as u32),
            _ => Self::Output(id),
        }
    }
}

pub struct Supervisor {
    epoll: OwnedFd,
    listener: OwnedFd,
    children: OwnedFd,
    connections: HashMap<u32, Connection>,
    connections_made: u32,
    programs: Programs,
    /// Where requests are received.
    buffer: Vec<u8>,
}

impl Supervisor {
    pub fn new(listener: OwnedFd) -> io::Result<Self> {
        let children = sys::child_signals()?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, Source::Listener.data(), EventFlags::IN)?;
        epoll::add(&epoll, &children, Source::Children.data(), EventFlags::IN)?;
        let (connections, programs, buffer) = (HashMap::new(), Programs::default(), vec![0; MESSAGE_BYTES_MAX]);
        Ok(Self { epoll, listener, children, connections, connections_made: 0, programs, buffer })
    }

    /// Returns only when waiting itself fails, which ends the capsule.
    pub fn run(mut self) -> ExitCode {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return ExitCode::FAILURE,
            }
            for event in &events {
                match Source::of(event.data) {
                    Source::Listener => self.accept(),
                    Source::Children => self.reap(),
                    Source::Connection(id) => self.converse(id, event.flags),
                    Source::Output(exec) => self.collect(exec),
                }
            }
        }
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = rustix::net::accept_with(&self.listener, flags) else { return };
        // Seen from in here, whoever comes from outside of the capsule has no process id.
        let from_outside = sys::peer_is_foreign(&socket);
        if !from_outside || self.connections.len() >= CONNECTIONS_MAX {
            return;
        }
        self.connections_made = self.connections_made.wrapping_add(1);
        let id = self.connections_made;
        if epoll::add(&self.epoll, &socket, Source::Connection(id).data(), EventFlags::IN).is_ok() {
            self.connections.insert(id, Connection::new(socket));
        }
    }

    fn reap(&mut self) {
        // One signal may stand for many exits.
        while rustix::io::read(&self.children, &mut [0; 128]).is_ok() {}
        for (exec, ended) in self.programs.reap() {
            // What the program wrote last is in the pipe already.
            self.collect(exec);
            let ids: Vec<u32> = self.connections.keys().copied().collect();
            ids.into_iter().for_each(|id| self.send(id, &Message::Exited { exec, ended }, None));
        }
    }

    fn collect(&mut self, exec: u64) {
        if let Some(finished) = self.programs.collect(exec) {
            // A closed descriptor has left the set by itself, unless a program still holds a copy.
            let _ = epoll::delete(&self.epoll, finished.as_fd());
        }
    }

    fn converse(&mut self, id: u32, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.flush(id);
        }
        while let Some(connection) = self.connections.get_mut(&id) {
            match connection.receive(&mut self.buffer) {
                Received::Request(request, descriptors) => {
                    let Request { seq, call } = *request;
                    let (answer, descriptor) = match self.perform(call, descriptors) {
                        Ok((answer, descriptor)) => (Ok(answer), descriptor),
                        Err(refusal) => (Err(refusal), None),
                    };
                    self.send(id, &Message::Answer { seq, answer }, descriptor);
                }
                Received::Nothing => return,
                Received::End => drop(self.connections.remove(&id)),
            }
        }
    }

    /// The answer, and the descriptor that travels beside it.
    fn perform(&mut self, call: Call, descriptors: Vec<OwnedFd>) -> Result<(Answer, Option<OwnedFd>), Refusal> {
        let done = match call {
            Call::Exec(exec) => {
                let exec = self.programs.start(*exec, descriptors)?;
                if let Some(output) = self.programs.output(exec) {
                    epoll::add(&self.epoll, output, Source::Output(exec).data(), EventFlags::IN)
                        .map_err(|error| Refusal::System(error.raw_os_error()))?;
                }
                // It runs, whether or not its terminal can be handed out.
                return Ok((Answer::Started { exec }, self.programs.terminal(exec).ok()));
            }
            Call::List { after } => Answer::Execs(self.programs.list(after)),
            Call::Kill { whom, signal } => self.programs.kill(whom, signal).map(|()| Answer::Done)?,
            Call::Tail { exec } => self.programs.write_tail(exec, descriptors).map(|()| Answer::Done)?,
            Call::Terminal { exec } => {
                return Ok((Answer::Done, Some(self.programs.terminal(exec)?)));
            }
        };
        Ok((done, None))
    }

    fn send(&mut self, id: u32, message: &Message, descriptor: Option<OwnedFd>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.queue(message, descriptor);
            self.flush(id);
        }
    }

    /// Write what the connection takes, and ask to be woken for the rest.
    fn flush(&mut self, id: u32) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (stuck, wanted) = match connection.flush() {
            Ok(true) => (false, EventFlags::IN),
            Ok(false) => (true, EventFlags::IN | EventFlags::OUT),
            Err(_) => return drop(self.connections.remove(&id)),
        };
        if std::mem::replace(&mut connection.stuck, stuck) == stuck {
            return;
        }
        if epoll::modify(&self.epoll, connection.socket(), Source::Connection(id).data(), wanted).is_err() {
            self.connections.remove(&id);
        }
    }
}
