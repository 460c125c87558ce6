//! Netlink, as much of it as a capsule's network needs: encode requests, send them at once, wait for every answer.
//!
//! Assumes requests that are built here only, so lengths fit. Promises that a refused request is an error that
//! carries the kernel's reason.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

const HEADER_BYTES: usize = 16;
const ERROR_MESSAGE: u16 = 2;
const NESTED: u16 = 1 << 15;
/// Enough for one acknowledgement with the request that it repeats.
const ANSWER_BYTES: usize = 16 * 1024;

pub const REQUEST: u16 = 1;
pub const ACKNOWLEDGE: u16 = 4;
pub const EXCLUSIVE: u16 = 0x200;
pub const CREATE: u16 = 0x400;
pub const APPEND: u16 = 0x800;

/// Requests that are sent together.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    acknowledgements: usize,
}

impl Batch {
    /// Add a message: its type, flags, the fixed part, and what `fill` appends.
    pub fn message(&mut self, kind: u16, flags: u16, fixed: &[u8], fill: impl FnOnce(&mut Attributes)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(fixed);
        let mut attributes = Attributes(std::mem::take(&mut self.bytes));
        attributes.pad();
        fill(&mut attributes);
        self.bytes = attributes.0;
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.acknowledgements += usize::from(flags & ACKNOWLEDGE != 0);
    }

    /// Send all, to the routing subsystem unless another is named, and wait until every message that asked for it is acknowledged.
    pub fn send(self, protocol: Option<Protocol>) -> Result<(), Errno> {
        let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        rustix::net::sendto(&socket, &self.bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut left = self.acknowledgements;
        while left > 0 {
            left = left.saturating_sub(receive(&socket)?);
        }
        Ok(())
    }
}

/// How many messages this datagram acknowledges.
fn receive(socket: &OwnedFd) -> Result<usize, Errno> {
    let mut answer = [0; ANSWER_BYTES];
    let (count, _) = rustix::net::recv(socket, &mut answer, RecvFlags::empty())?;
    let mut rest = &answer[..count];
    let mut seen = 0;
    while let (Some(length), Some(kind)) = (number(rest, 0), rest.get(4..6)) {
        if kind == ERROR_MESSAGE.to_ne_bytes() {
            match number(rest, HEADER_BYTES).map(|code| code as i32) {
                Some(0) => seen += 1,
                Some(code) => return Err(Errno::from_raw_os_error(-code)),
                None => return Err(Errno::BADMSG),
            }
        }
        let step = (length as usize).next_multiple_of(4).max(HEADER_BYTES);
        rest = rest.get(step..).unwrap_or_default();
    }
    Ok(seen)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The variable part of a message under construction.
pub struct Attributes(Vec<u8>);

impl Attributes {
    pub fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.0.extend_from_slice(&((value.len() + 4) as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.pad();
    }

    /// A string with the terminator that the kernel expects.
    pub fn text(&mut self, kind: u16, value: &str) {
        self.bytes(kind, &[value.as_bytes(), b"\0"].concat());
    }

    /// A number in network order, as the firewall wants it.
    pub fn big(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes)) {
        self.nest_after(kind, &[], fill);
    }

    /// A nest that begins with a fixed part.
    pub fn nest_after(&mut self, kind: u16, fixed: &[u8], fill: impl FnOnce(&mut Attributes)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        self.0.extend_from_slice(fixed);
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}
