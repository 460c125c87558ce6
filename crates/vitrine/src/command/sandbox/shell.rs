//! `vitrine sandbox shell`: a terminal in a sandbox, as ssh gives one.
//!
//! Promises: the local terminal is as it was before, whatever ends the shell; the exit code is the shell's own; a connection
//! that breaks is made again where it was left, for half a minute.

use super::PATH;
use crate::client::{Client, ClientError};
use crate::command::session::ready;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// Without a word for so long a connection is dead though nobody said so: each side asks the other every 15 to 20 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);
const PING_EVERY: Duration = Duration::from_secs(15);
/// A server that starts again is back by then.
const LOST_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);
/// A paste comes in pieces of this size.
const TYPED_BYTES: usize = 16 * 1024;
/// Pieces that wait while the connection is slow; then typing waits.
const TYPED_PIECES: usize = 16;
/// What a terminal understands as the end of its input.
const END_OF_INPUT: &[u8] = &[4];
/// What is assumed of the window when there is none.
const SIZE: (u16, u16) = (80, 24);
/// Added to the number of a signal that ended the shell, as shells do.
const SIGNALED: u8 = 128;
/// The exit code of a shell about whose end nothing is known.
const UNKNOWN: u8 = 255;
/// The close code of a terminal that ended.
const CLOSED: u16 = 1000;

pub async fn run(client: &Client, id: &str, terminal: Option<u64>) -> anyhow::Result<ExitCode> {
    ready(client, PATH, id).await?;
    let mut shell = Shell {
        client,
        id,
        terminal,
        seen: 0,
        keys: typed()?,
        input_ended: false,
        resized: signal(SignalKind::window_change())?,
    };
    let mut ending = Ending::listen()?;
    // The first connection before anything is changed: its errors are printed as those of any command.
    let mut socket = shell.connect().await?;
    let _raw = RawMode::enter()?;
    let code = loop {
        match shell.converse(socket, &mut ending).await {
            Ended::Exit(code) | Ended::Signal(code) => break code,
            Ended::Closed(why) => bail!("the terminal was closed: {why}"),
            Ended::Lost => socket = shell.connect_again().await?,
        }
    };
    Ok(ExitCode::from(code))
}

type Socket = tokio_tungstenite::WebSocketStream<reqwest::Upgraded>;

/// How a connection ended.
enum Ended {
    Exit(u8),
    /// A signal to this process: 128 + its number.
    Signal(u8),
    /// By the server, which said why.
    Closed(String),
    Lost,
}

struct Shell<'a> {
    client: &'a Client,
    id: &'a str,
    terminal: Option<u64>,
    /// Bytes of output that were shown: where a new connection goes on.
    seen: u64,
    keys: mpsc::Receiver<Bytes>,
    input_ended: bool,
    resized: Signal,
}

impl Shell<'_> {
    async fn connect(&mut self) -> anyhow::Result<Socket> {
        let (cols, rows) = window();
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let terminal = self.terminal.map(|number| number.to_string());
        let mut query = vec![("id", self.id), ("cols", &cols), ("rows", &rows)];
        query.extend(terminal.as_deref().map(|terminal| ("terminalId", terminal)));
        let answer = self.client.get(&format!("{PATH}/terminal"), &query).await?;
        self.terminal = answer["terminalId"].as_u64();
        let url = answer["terminalUrl"].as_str();
        let url = url.context("the key may not open terminals: that needs the permission sandbox_sessions:exec")?;
        // From the first byte on: a new shell has said something by now.
        self.client.socket(&format!("{url}&offset={}", self.seen)).await
    }

    async fn connect_again(&mut self) -> anyhow::Result<Socket> {
        let lost = Instant::now();
        loop {
            tokio::time::sleep(PAUSE).await;
            let error = match self.connect().await {
                Ok(socket) => return Ok(socket),
                Err(error) => error,
            };
            let refused =
                matches!(error.downcast_ref(), Some(ClientError::Refused { status, .. }) if status.is_client_error());
            if refused || lost.elapsed() > LOST_MAX {
                return Err(error.context("the connection was lost"));
            }
        }
    }

    async fn converse(&mut self, mut socket: Socket, ending: &mut Ending) -> Ended {
        let mut pings = tokio::time::interval(PING_EVERY);
        let mut heard = Instant::now();
        let (cols, rows) = window();
        let mut next = Some(resize(cols, rows));
        loop {
            if let Some(message) = next.take()
                && socket.send(message).await.is_err()
            {
                return Ended::Lost;
            }
            tokio::select! {
                message = socket.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(message)) => if let Some(ended) = self.hear(message) { return ended },
                        Some(Err(_)) | None => return Ended::Lost,
                    }
                }
                typed = self.keys.recv(), if !self.input_ended => {
                    self.input_ended = typed.is_none();
                    next = Some(Message::Binary(typed.unwrap_or_else(|| Bytes::from_static(END_OF_INPUT))));
                }
                _ = self.resized.recv() => {
                    let (cols, rows) = window();
                    next = Some(resize(cols, rows));
                }
                number = ending.next() => return Ended::Signal(SIGNALED + number),
                _ = pings.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Ended::Lost;
                    }
                    next = Some(Message::Ping(Bytes::new()));
                }
            }
        }
    }

    fn hear(&mut self, message: Message) -> Option<Ended> {
        match message {
            Message::Binary(output) => {
                self.seen += output.len() as u64;
                let mut screen = std::io::stdout().lock();
                // Nobody reads any more: as when the terminal's window is closed.
                let shown = screen.write_all(&output).and_then(|()| screen.flush());
                shown.is_err().then_some(Ended::Signal(SIGNALED + number(SignalKind::hangup())))
            }
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).ok()?;
                match message["type"].as_str()? {
                    "exit" => {
                        let code = message["code"].as_u64().and_then(|code| u8::try_from(code).ok());
                        Some(Ended::Exit(code.unwrap_or(UNKNOWN)))
                    }
                    "offset" => {
                        self.seen = message["offset"].as_u64().unwrap_or(self.seen);
                        None
                    }
                    _ => None,
                }
            }
            Message::Close(frame) => match frame {
                Some(frame) if u16::from(frame.code) >= 4000 || u16::from(frame.code) == CLOSED => {
                    Some(Ended::Closed(frame.reason.to_string()))
                }
                _ => Some(Ended::Lost),
            },
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => None,
        }
    }
}

fn resize(cols: u16, rows: u16) -> Message {
    Message::Text(json!({ "type": "resize", "cols": cols, "rows": rows }).to_string().into())
}

/// The columns and rows of the window that the output goes to.
fn window() -> (u16, u16) {
    match tcgetwinsize(std::io::stdout()) {
        Ok(Winsize { ws_col, ws_row, .. }) if ws_col > 0 && ws_row > 0 => (ws_col, ws_row),
        _ => SIZE,
    }
}

/// What is typed. The thread ends with the process: a read of a terminal cannot be broken off.
fn typed() -> anyhow::Result<mpsc::Receiver<Bytes>> {
    let (sender, receiver) = mpsc::channel(TYPED_PIECES);
    let read = move || {
        let mut buffer = vec![0; TYPED_BYTES];
        let mut input = std::io::stdin();
        while let Ok(size @ 1..) = input.read(&mut buffer) {
            if sender.blocking_send(Bytes::copy_from_slice(&buffer[..size])).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("keys".to_owned()).spawn(read).context("could not start a thread")?;
    Ok(receiver)
}

/// Every key goes to the sandbox, Ctrl-C too, and nothing is shown twice. Undone when this is dropped.
struct RawMode {
    before: Option<Termios>,
}

impl RawMode {
    /// Changes nothing where standard input is no terminal.
    fn enter() -> anyhow::Result<Self> {
        let Ok(before) = tcgetattr(std::io::stdin()) else { return Ok(Self { before: None }) };
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).context("could not set up the terminal")?;
        Ok(Self { before: Some(before) })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Once what was shown is out. A terminal that is gone needs nothing.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, before);
        }
    }
}

/// Signals that are to end this process, each with its number.
struct Ending([(Signal, u8); 4]);

impl Ending {
    fn listen() -> anyhow::Result<Self> {
        let each = |kind: SignalKind| anyhow::Ok((signal(kind)?, number(kind)));
        let [hangup, interrupt] = [each(SignalKind::hangup())?, each(SignalKind::interrupt())?];
        Ok(Self([hangup, interrupt, each(SignalKind::quit())?, each(SignalKind::terminate())?]))
    }

    /// The number of the next one.
    async fn next(&mut self) -> u8 {
        let waits = self.0.iter_mut().map(|(signal, number)| {
            Box::pin(async {
                signal.recv().await;
                *number
            })
        });
        futures_util::future::select_all(waits).await.0
    }
}

fn number(kind: SignalKind) -> u8 {
    u8::try_from(kind.as_raw_value()).unwrap_or_default()
}
