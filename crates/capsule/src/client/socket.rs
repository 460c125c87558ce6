//! The control socket: whole messages with descriptors beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use rustix::process::PidfdFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vitrine_init::{DESCRIPTORS_MAX, MESSAGE_BYTES_MAX, Message, Request, SOCKET};

use crate::sys;

pub struct Socket {
    socket: AsyncFd<Arc<OwnedFd>>,
    buffer: Vec<u8>,
}

impl Socket {
    /// Also gives the process that listens.
    pub fn connect(control: &Path) -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let folder = rustix::fs::openat(CWD, control, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        // Programs of some drivers can write to the folder: a link there leads nowhere.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let named = rustix::fs::openat(&folder, SOCKET, flags, Mode::empty())?;
        // By descriptor, since an address has no room for a long path.
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", named.as_raw_fd()))?;
        rustix::net::connect(&socket, &address)?;
        let init = listening_process(&socket)?;
        Ok((Self { socket: sys::watch(Arc::new(socket))?, buffer: vec![0; MESSAGE_BYTES_MAX] }, init))
    }

    pub async fn send(&self, request: &Request, descriptors: &[OwnedFd]) -> Result<(), Errno> {
        let bytes = serde_json::to_vec(request).map_err(|_| Errno::INVAL)?;
        if bytes.len() > MESSAGE_BYTES_MAX || descriptors.len() > DESCRIPTORS_MAX {
            return Err(Errno::MSGSIZE);
        }
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let send = |socket: &Arc<OwnedFd>| {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(&descriptors));
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            rustix::net::sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, flags).map_err(io::Error::from)
        };
        let sent = self.socket.async_io(Interest::WRITABLE, send).await;
        sent.map(drop).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// A message, and the descriptor beside it. Nothing when the other end is gone or talks nonsense. May be dropped
    /// while it waits.
    pub async fn receive(&mut self) -> Option<(Message, Option<OwnedFd>)> {
        let buffer = &mut self.buffer;
        let mut receive = |socket: &Arc<OwnedFd>| {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let message = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
            // More than the one that there is room for are dropped by the kernel.
            let descriptor = control.drain().find_map(|part| match part {
                RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
                _ => None,
            });
            let whole = !message.flags.contains(ReturnFlags::TRUNC);
            Ok((whole.then_some(message.bytes), descriptor))
        };
        let (length, descriptor) = self.socket.async_io(Interest::READABLE, |socket| receive(socket)).await.ok()?;
        let message = serde_json::from_slice(self.buffer.get(..length?)?).ok()?;
        Some((message, descriptor))
    }
}

fn listening_process(socket: &OwnedFd) -> io::Result<OwnedFd> {
    match sys::peer_process(socket.as_fd()) {
        Err(error) if error.raw_os_error() == Some(Errno::NOPROTOOPT.raw_os_error()) => {
            // Before Linux 6.5. Connected a moment ago, so the id is that of the listener, or of nobody.
            let peer = rustix::net::sockopt::socket_peercred(socket)?;
            Ok(rustix::process::pidfd_open(peer.pid, PidfdFlags::NONBLOCK)?)
        }
        other => other,
    }
}
