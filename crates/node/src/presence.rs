//! Who is connected to a run right now, and what the run tells them when it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use vitrine_model::EndReason;

/// Clients of a run, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presence {
    /// Connected now.
    pub connected: u32,
    /// Of these, those that may act: clients, and viewers in control.
    pub acting: u32,
    /// Ever connected: a client that came and went between two looks is not missed.
    pub came: u64,
}

/// The door of a run: clients are counted as they come and go.
#[derive(Debug, Clone)]
pub struct Door {
    presence: Arc<watch::Sender<Presence>>,
    ending: Arc<watch::Sender<Option<EndReason>>>,
}

impl Default for Door {
    fn default() -> Self {
        Self { presence: Arc::new(watch::Sender::default()), ending: Arc::new(watch::Sender::default()) }
    }
}

impl Door {
    /// A client or a viewer comes; it has left when the guard is dropped.
    pub fn enter(&self, acts: bool) -> Guard {
        self.presence.send_modify(|presence| {
            presence.connected += 1;
            presence.acting += u32::from(acts);
            presence.came += 1;
        });
        Guard { presence: self.presence.clone(), acts }
    }

    /// Watches the clients.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.presence.subscribe()
    }

    /// Tells every client why the run ends. The first reason stays.
    pub fn close(&self, reason: EndReason) {
        self.ending.send_if_modified(|ending| {
            let first = ending.is_none();
            ending.get_or_insert(reason);
            first
        });
    }

    /// Resolves when the run begins to end.
    pub fn ending(&self) -> impl Future<Output = EndReason> + Send + 'static {
        let mut ending = self.ending.subscribe();
        async move {
            // The sender lives as long as the run's node: when it is gone without a word, the process is going down.
            let reason = ending.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
            reason.unwrap_or(EndReason::ServerShutdown)
        }
    }
}

/// One client's presence.
#[derive(Debug)]
pub struct Guard {
    presence: Arc<watch::Sender<Presence>>,
    acts: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.presence.send_modify(|presence| {
            presence.connected -= 1;
            presence.acting -= u32::from(self.acts);
        });
    }
}

/// A byte stream to a run: to its browser's DevTools port, or to this process, which speaks for the run. Dropping it is the
/// client leaving.
#[derive(Debug)]
pub struct ClientStream {
    stream: Carrier,
    _guard: Option<Guard>,
}

#[derive(Debug)]
enum Carrier {
    Socket(TcpStream),
    Memory(DuplexStream),
}

impl ClientStream {
    /// Ties a stream to a client's presence; a stream without one counts for nothing.
    pub fn new(stream: TcpStream, guard: Option<Guard>) -> Self {
        Self { stream: Carrier::Socket(stream), _guard: guard }
    }

    /// The same for what this process answers itself.
    pub fn in_memory(stream: DuplexStream, guard: Option<Guard>) -> Self {
        Self { stream: Carrier::Memory(stream), _guard: guard }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Carrier::Socket(socket) => Pin::new(socket).poll_read(cx, buf),
            Carrier::Memory(memory) => Pin::new(memory).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match &mut self.stream {
            Carrier::Socket(socket) => Pin::new(socket).poll_write(cx, bytes),
            Carrier::Memory(memory) => Pin::new(memory).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Carrier::Socket(socket) => Pin::new(socket).poll_flush(cx),
            Carrier::Memory(memory) => Pin::new(memory).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Carrier::Socket(socket) => Pin::new(socket).poll_shutdown(cx),
            Carrier::Memory(memory) => Pin::new(memory).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_counted_and_the_first_reason_stays() {
        let door = Door::default();
        let presence = door.presence();
        let watcher = door.enter(false);
        assert_eq!(*presence.borrow(), Presence { connected: 1, acting: 0, came: 1 });
        let client = door.enter(true);
        assert_eq!(*presence.borrow(), Presence { connected: 2, acting: 1, came: 2 });
        drop((watcher, client));
        assert_eq!(*presence.borrow(), Presence { connected: 0, acting: 0, came: 2 });
        let ending = door.ending();
        door.close(EndReason::Idle);
        door.close(EndReason::Deleted);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(ending), EndReason::Idle);
    }
}
