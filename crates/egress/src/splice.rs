//! Copies bytes both ways between a capsule's connection and its line.
//!
//! An idle connection holds no buffer: bytes are read into a buffer of the thread and written on at once; only what the
//! other side does not take yet is kept, and not more is read until it does. Half-closed connections go on in the other
//! direction. There is no idle limit, except for half-closed ones: the side that still could send may be gone for good.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep, sleep};

use crate::upstream::Stream;

/// Bytes copied at once, and the most that one direction of a connection ever holds.
const CHUNK_BYTES: usize = 64 * 1024;
/// How long a connection may be silent when one side has already finished.
pub(crate) const HALF_CLOSED_IDLE: Duration = Duration::from_secs(300);

thread_local! {
    static CHUNK: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK_BYTES].into_boxed_slice());
}

/// Copies until both sides have finished, or one has and the other is silent for `half_closed_idle`. `early` goes to the
/// capsule first.
pub(crate) async fn splice(
    capsule: &mut impl Stream,
    line: &mut impl Stream,
    early: Vec<u8>,
    bytes_out: &AtomicU64,
    bytes_in: &AtomicU64,
    half_closed_idle: Duration,
) -> io::Result<()> {
    let mut outwards = Direction::new(Vec::new(), bytes_out);
    let mut inwards = Direction::new(early, bytes_in);
    let mut patience: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        let moved_before = outwards.moved + inwards.moved;
        let out_done = outwards.poll(context, capsule, line)?.is_ready();
        let in_done = inwards.poll(context, line, capsule)?.is_ready();
        if out_done && in_done {
            return Poll::Ready(Ok(()));
        }
        if out_done || in_done {
            let patience = patience.get_or_insert_with(|| Box::pin(sleep(half_closed_idle)));
            if outwards.moved + inwards.moved != moved_before {
                patience.as_mut().reset(Instant::now() + half_closed_idle);
            }
            ready!(patience.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    })
    .await
}

#[derive(PartialEq)]
enum Phase {
    Copying,
    Closing,
    Closed,
}

struct Direction<'meter> {
    phase: Phase,
    /// What the writer did not take yet, from `written` on.
    held: Vec<u8>,
    written: usize,
    needs_flush: bool,
    moved: u64,
    meter: &'meter AtomicU64,
}

impl<'meter> Direction<'meter> {
    fn new(held: Vec<u8>, meter: &'meter AtomicU64) -> Self {
        Direction { phase: Phase::Copying, held, written: 0, needs_flush: false, moved: 0, meter }
    }

    /// Copies until one of the two sides is not ready. Ready when this direction is closed.
    fn poll<R: Stream, W: Stream>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_held(context, writer))?;
            match self.phase {
                Phase::Copying => match self.poll_chunk(context, reader, writer)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => {
                        if self.needs_flush && self.held.is_empty() {
                            ready!(Pin::new(&mut *writer).poll_flush(context))?;
                            self.needs_flush = false;
                        }
                        return Poll::Pending;
                    }
                },
                Phase::Closing => {
                    match ready!(Pin::new(&mut *writer).poll_shutdown(context)) {
                        Err(error) if error.kind() != io::ErrorKind::NotConnected => return Poll::Ready(Err(error)),
                        _ => self.phase = Phase::Closed,
                    };
                }
                Phase::Closed => return Poll::Ready(Ok(())),
            }
        }
    }

    fn poll_held<W: Stream>(&mut self, context: &mut Context<'_>, writer: &mut W) -> Poll<io::Result<()>> {
        while self.written < self.held.len() {
            let bytes = ready!(Pin::new(&mut *writer).poll_write(context, &self.held[self.written..]))?;
            self.wrote(bytes)?;
            self.written += bytes;
        }
        if self.written > 0 {
            (self.held, self.written) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads one chunk and writes as much of it as the writer takes.
    fn poll_chunk<R: Stream, W: Stream>(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        CHUNK.with_borrow_mut(|chunk| {
            let mut buffer = ReadBuf::new(chunk);
            match ready!(Pin::new(&mut *reader).poll_read(context, &mut buffer)) {
                Ok(()) => {}
                // A TLS peer that hung up without saying so. The capsule's own protocol tells whether that was all.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => buffer.clear(),
                Err(error) => return Poll::Ready(Err(error)),
            }
            let mut rest = buffer.filled();
            if rest.is_empty() {
                self.phase = Phase::Closing;
            }
            while !rest.is_empty() {
                match Pin::new(&mut *writer).poll_write(context, rest)? {
                    Poll::Ready(bytes) => {
                        self.wrote(bytes)?;
                        rest = &rest[bytes..];
                    }
                    Poll::Pending => {
                        self.held = rest.to_vec();
                        break;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
    }

    fn wrote(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.needs_flush = true;
        self.moved += bytes as u64;
        self.meter.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn both_ways_with_early_bytes_and_half_close() {
        let (mut client, mut capsule) = duplex(1000);
        let (mut line, mut server) = duplex(1000);
        let (out, into) = (AtomicU64::new(0), AtomicU64::new(0));
        let copying = splice(&mut capsule, &mut line, b"early ".to_vec(), &out, &into, HALF_CLOSED_IDLE);
        let talking = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut question = String::new();
            server.read_to_string(&mut question).await.unwrap();
            assert_eq!(question, "question");
            let answer = vec![b'x'; 500_000];
            let (_, text) = tokio::join!(
                async {
                    server.write_all(&answer).await.unwrap();
                    server.shutdown().await.unwrap();
                },
                async {
                    let mut text = Vec::new();
                    client.read_to_end(&mut text).await.unwrap();
                    text
                }
            );
            assert_eq!(&text[..6], b"early ");
            assert_eq!(text.len(), 500_006);
        };
        let (copied, ()) = tokio::join!(copying, talking);
        copied.unwrap();
        assert_eq!((out.into_inner(), into.into_inner()), (8, 500_006));
    }

    #[tokio::test]
    async fn silence_ends_half_closed_connections_only() {
        let (client, mut capsule) = duplex(1000);
        let (mut line, server) = duplex(1000);
        let (out, into) = (AtomicU64::new(0), AtomicU64::new(0));
        let copying = splice(&mut capsule, &mut line, Vec::new(), &out, &into, Duration::from_millis(50));
        tokio::pin!(copying);
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut copying).await.is_err());
        let mut client = client;
        client.shutdown().await.unwrap();
        let error = copying.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(server);
    }
}
