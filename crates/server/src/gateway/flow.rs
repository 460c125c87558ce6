//! One direction of a connection: bytes from a source to a sink, and our own frames between theirs.
//!
//! It reads only when everything read before was written, so that a slow sink slows its source and at most one buffer is held.

use super::ByteStream;
use super::buffer::{BUFFER_BYTES, Buffer};
use super::frame::{CONTROL_FRAME_MAX, Piece, Scanner, Sender, Violation};
use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// Where reading into a buffer stops: behind it is room for one frame of our own.
const READ_END: usize = BUFFER_BYTES - CONTROL_FRAME_MAX;

/// Why a direction stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// A close frame with this code was written to the sink; nothing follows it.
    Closed(u16),
    /// The source ended or failed.
    SourceLeft,
    /// The sink takes nothing any more.
    SinkLeft,
    /// The source broke the protocol. What came before was written.
    Broke(Violation),
}

/// Signs of life that a direction saw since it was last asked.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Signs {
    /// The source sent something, or is listened to again.
    pub(super) source: bool,
    /// The sink took something that it had kept waiting.
    pub(super) sink: bool,
    /// No sign, but a question: a ping of ours went to the sink.
    pub(super) asked: bool,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Flow {
    scanner: Scanner,
    /// Read before the connection became a WebSocket.
    early: Bytes,
    /// The beginning of a header or control frame, shorter than a control frame.
    partial: [u8; CONTROL_FRAME_MAX],
    partial_bytes: usize,
    /// A frame of our own that waits for the end of the frame in flight.
    ours: Option<Ours>,
    held: Option<Held>,
    stop: Option<Stop>,
    signs: Signs,
    counter: Counter,
}

#[derive(Debug)]
struct Ours {
    frame: Vec<u8>,
    /// Set for a close frame: nothing may follow it.
    closes: Option<u16>,
}

/// What the sink has not taken yet.
#[derive(Debug)]
struct Held {
    buffer: Buffer,
    from: usize,
    to: usize,
}

impl Flow {
    pub(super) fn new(sender: Sender, early: Bytes, counter: Counter) -> Self {
        Self {
            scanner: Scanner::new(sender),
            early,
            partial: [0; CONTROL_FRAME_MAX],
            partial_bytes: 0,
            ours: None,
            held: None,
            stop: None,
            signs: Signs::default(),
            counter,
        }
    }

    /// Puts a ping in as soon as no frame is in flight, unless something of ours waits already.
    pub(super) fn ping(&mut self, frame: Vec<u8>) {
        self.ours.get_or_insert(Ours { frame, closes: None });
    }

    /// Ends the direction with a close frame as soon as no frame is in flight.
    pub(super) fn close(&mut self, frame: Vec<u8>, code: u16) {
        // What the source did no longer matters: a protocol error of its own must not keep the close frame from the sink.
        if matches!(self.stop, Some(Stop::Broke(_))) {
            self.stop = None;
        }
        self.ours = Some(Ours { frame, closes: Some(code) });
    }

    /// Whether the sink keeps us waiting.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The signs of life since the last call.
    pub(super) fn take_signs(&mut self) -> Signs {
        std::mem::take(&mut self.signs)
    }

    /// Carries bytes until there are none to carry, or the direction stops.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        source: &mut dyn ByteStream,
        sink: &mut dyn ByteStream,
    ) -> Poll<Stop> {
        let waited = self.is_held();
        loop {
            if self.is_held() && ready!(self.poll_write(context, sink, waited)).is_err() {
                return Poll::Ready(Stop::SinkLeft);
            }
            if let Some(stop) = self.stop.take() {
                return Poll::Ready(stop);
            }
            let mut buffer = Buffer::borrow();
            let mut to = 0;
            if self.scanner.at_boundary() {
                self.insert(&mut buffer, &mut to, 0);
            }
            if to == 0 {
                match ready!(self.poll_read(context, source, &mut buffer)) {
                    Ok(0) | Err(_) => return Poll::Ready(Stop::SourceLeft),
                    Ok(bytes) => to = self.pass(&mut buffer, self.partial_bytes + bytes),
                }
            }
            if to > 0 {
                self.held = Some(Held { buffer, from: 0, to });
            }
        }
    }

    /// Writes what is held and gives the buffer back. `waited` tells a sink that took its time from one that never did.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        sink: &mut dyn ByteStream,
        waited: bool,
    ) -> Poll<io::Result<()>> {
        while let Some(held) = &mut self.held {
            let written = ready!(Pin::new(&mut *sink).poll_write(context, &held.buffer[held.from..held.to]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            held.from += written;
            self.counter.inc_by(written as u64);
            self.signs.sink |= waited;
            if held.from == held.to {
                self.held = None;
                self.signs.source |= waited;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads behind the partial frame, and says how many bytes came.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        source: &mut dyn ByteStream,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(&mut buffer[self.partial_bytes..READ_END]);
        if self.early.is_empty() {
            ready!(Pin::new(source).poll_read(context, &mut room))?;
        } else {
            let bytes = self.early.len().min(room.remaining());
            room.put_slice(&self.early.split_to(bytes));
        }
        let bytes = room.filled().len();
        buffer[..self.partial_bytes].copy_from_slice(&self.partial[..self.partial_bytes]);
        self.signs.source = true;
        Poll::Ready(Ok(bytes))
    }

    /// Follows the frames in `buffer[..end]`, takes out and puts in what is ours, and says how many bytes are to be written.
    fn pass(&mut self, buffer: &mut [u8], mut end: usize) -> usize {
        let mut at = 0;
        self.partial_bytes = 0;
        while at < end && self.stop.is_none() {
            if self.scanner.at_boundary() {
                at += self.insert(buffer, &mut end, at);
                if self.stop.is_some() {
                    break;
                }
            }
            match self.scanner.next(&buffer[at..end]) {
                Ok(Piece::Pass(bytes)) => at += bytes,
                Ok(Piece::OurPong(bytes)) => {
                    buffer.copy_within(at + bytes..end, at);
                    end -= bytes;
                }
                Ok(Piece::Close { bytes, code }) => {
                    at += bytes;
                    self.stop = Some(Stop::Closed(code));
                }
                Ok(Piece::Partial) => {
                    self.partial_bytes = end - at;
                    self.partial[..end - at].copy_from_slice(&buffer[at..end]);
                    break;
                }
                Err(violation) => self.stop = Some(Stop::Broke(violation)),
            }
        }
        at
    }

    /// Puts our waiting frame, if any, at `at` into `buffer[..end]`, and says how many bytes it has.
    fn insert(&mut self, buffer: &mut [u8], end: &mut usize, at: usize) -> usize {
        let Some(ours) = self.ours.take() else {
            return 0;
        };
        let bytes = ours.frame.len();
        buffer.copy_within(at..*end, at + bytes);
        buffer[at..at + bytes].copy_from_slice(&ours.frame);
        *end += bytes;
        match ours.closes {
            Some(code) => self.stop = Some(Stop::Closed(code)),
            None => self.signs.asked = true,
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;
    use proptest::prelude::*;
    use std::task::Waker;
    use tokio::io::{AsyncRead, AsyncWrite};

    /// A stream that gives and takes as many bytes at a time as it is told; 0 is a pause.
    #[derive(Default)]
    struct Scripted {
        bytes: Vec<u8>,
        steps: Vec<usize>,
        step: usize,
    }

    impl Scripted {
        fn step(&mut self) -> usize {
            self.step += 1;
            self.steps[self.step % self.steps.len()]
        }
    }

    impl AsyncRead for Scripted {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let bytes = self.step().min(self.bytes.len()).min(room.remaining());
            if bytes == 0 && !self.bytes.is_empty() {
                return Poll::Pending;
            }
            room.put_slice(&self.bytes.drain(..bytes).collect::<Vec<_>>());
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Scripted {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = self.step().min(bytes.len());
            self.bytes.extend(&bytes[..taken]);
            if taken == 0 { Poll::Pending } else { Poll::Ready(Ok(taken)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn message(bytes: usize) -> Vec<u8> {
        let mut frame = vec![0x82, 127];
        frame.extend((bytes as u64).to_be_bytes());
        frame.extend((0..bytes).map(|at| at as u8));
        frame
    }

    fn steps() -> impl Strategy<Value = Vec<usize>> {
        let step = prop_oneof![Just(0usize), 1usize..20, 100usize..300_000];
        (prop::collection::vec(step, 0..6), 1usize..300_000).prop_map(|(mut steps, last)| {
            steps.push(last);
            steps
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever comes and goes in whatever pieces: the frames arrive whole and in order, our pings only between them, pongs to
        /// them not at all, and our close frame last.
        #[test]
        fn frames_of_our_own_stand_between_theirs(
            sizes in prop::collection::vec(prop_oneof![0usize..200, 100_000usize..300_000], 1..6),
            source_steps in steps(),
            sink_steps in steps(),
            pings in prop::collection::vec(0usize..60, 0..6),
            close_at in 0usize..200,
        ) {
            let pong = [&[0x8a, 7][..], b"vitrine"].concat();
            let sent: Vec<u8> = sizes.iter().flat_map(|size| [message(*size), pong.clone()].concat()).collect();
            let mut source = Scripted { bytes: sent, steps: source_steps, step: 0 };
            let mut sink = Scripted { steps: sink_steps, ..Scripted::default() };
            let mut flow = Flow::new(Sender::Browser, Bytes::new(), Counter::default());
            let (ping, close) = (frame::ping(Sender::Browser), frame::close(Sender::Browser, 4001, "max_duration"));
            let mut context = Context::from_waker(Waker::noop());
            let stop = (0..).find_map(|turn| {
                if pings.contains(&turn) {
                    flow.ping(ping.clone());
                }
                if turn == close_at {
                    flow.close(close.clone(), 4001);
                }
                match flow.poll(&mut context, &mut source, &mut sink) {
                    Poll::Ready(stop) => Some(stop),
                    Poll::Pending => None,
                }
            });
            let mut seen = sink.bytes.as_slice();
            let mut expected = sizes.iter().map(|size| message(*size));
            while let Some(rest) = seen.strip_prefix(ping.as_slice()) {
                seen = rest;
            }
            while seen.first() == Some(&0x82) {
                let whole = expected.next().expect("no more than was sent");
                prop_assert!(seen.starts_with(&whole), "whole and unchanged");
                seen = &seen[whole.len()..];
                while let Some(rest) = seen.strip_prefix(ping.as_slice()) {
                    seen = rest;
                }
            }
            match stop {
                Some(Stop::Closed(4001)) => prop_assert_eq!(seen, close.as_slice()),
                Some(Stop::SourceLeft) => prop_assert!(seen.is_empty() && expected.next().is_none()),
                other => prop_assert!(false, "{other:?}"),
            }
            prop_assert!(!flow.is_held());
        }
    }
}
