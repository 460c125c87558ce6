//! One connection of the host: whole messages in, whole messages out, neither ever waited for.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use vitrine_init::{DESCRIPTORS_MAX, Message, Request};

/// Messages that wait for a slow reader before it is dropped.
const QUEUE_MAX: usize = 4096;

pub struct Connection {
    socket: OwnedFd,
    queue: VecDeque<Outgoing>,
    /// Whether the queue is known to wait for the reader.
    pub stuck: bool,
}

struct Outgoing {
    bytes: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

pub enum Received {
    Request(Box<Request>, Vec<OwnedFd>),
    Nothing,
    /// The other side is gone or does not speak our language.
    End,
}

impl Connection {
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, queue: VecDeque::new(), stuck: false }
    }

    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// `bytes` has room for [`vitrine_init::MESSAGE_BYTES_MAX`].
    pub fn receive(&mut self, bytes: &mut [u8]) -> Received {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let message = match rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(bytes)], &mut control, flags) {
            Ok(message) => message,
            Err(Errno::AGAIN | Errno::INTR) => return Received::Nothing,
            Err(_) => return Received::End,
        };
        let descriptors = control
            .drain()
            .filter_map(|part| match part {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        let whole = !message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
        match serde_json::from_slice(&bytes[..message.bytes]) {
            Ok(request) if whole => Received::Request(Box::new(request), descriptors),
            _ => Received::End,
        }
    }

    pub fn queue(&mut self, message: &Message, descriptor: Option<OwnedFd>) {
        // Serialising our own plain data cannot fail; an empty message would end the connection, which is right.
        let bytes = serde_json::to_vec(message).unwrap_or_default();
        self.queue.push_back(Outgoing { bytes, descriptor });
    }

    /// Whether everything is written.
    pub fn flush(&mut self) -> Result<bool, Errno> {
        while let Some(Outgoing { bytes, descriptor }) = self.queue.front() {
            let descriptors: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(&descriptors));
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, flags) {
                Ok(_) => drop(self.queue.pop_front()),
                Err(Errno::AGAIN) if self.queue.len() < QUEUE_MAX => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
