//! A blocking WebSocket client that does as little as possible, so that the way is measured and not the client.

use crate::Outcome;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 101 OK\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const BUFFER_BYTES: usize = 256 * 1024;
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A connected client.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What was read and not consumed lies in `buffer[from..to]`.
    from: usize,
    to: usize,
}

impl Client {
    pub fn connect(address: SocketAddr, path: &str) -> Outcome<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{HANDSHAKE}").as_bytes())?;
        let head = read_head(&mut stream)?;
        if !head.starts_with("HTTP/1.1 101") {
            return Err(format!("no WebSocket at {path}: {head}").into());
        }
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], from: 0, to: 0 })
    }

    /// Sends a message and waits for the answer; answers how long that one is.
    pub fn call(&mut self, message: &str) -> Outcome<u64> {
        self.send(TEXT, message.as_bytes())?;
        loop {
            let (first, bytes) = self.header()?;
            if first == PING {
                let payload = self.take(bytes as usize)?.to_vec();
                self.send(PONG, &payload)?;
                continue;
            }
            self.skip(bytes)?;
            if first == TEXT {
                return Ok(bytes);
            }
        }
    }

    fn send(&mut self, first: u8, payload: &[u8]) -> Outcome<()> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        frame.push(first);
        match payload.len() {
            short @ 0..126 => frame.push(0x80 | short as u8),
            middle @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((middle as u16).to_be_bytes());
            }
            long => {
                frame.push(0x80 | 127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        Ok(self.stream.write_all(&frame)?)
    }

    fn header(&mut self) -> Outcome<(u8, u64)> {
        let two: [u8; 2] = self.take(2)?.try_into()?;
        let bytes = match two[1] {
            126 => u64::from(u16::from_be_bytes(self.take(2)?.try_into()?)),
            127 => u64::from_be_bytes(self.take(8)?.try_into()?),
            short => u64::from(short),
        };
        Ok((two[0], bytes))
    }

    fn take(&mut self, bytes: usize) -> Outcome<&[u8]> {
        while self.to - self.from < bytes {
            self.fill()?;
        }
        let taken = self.from..self.from + bytes;
        self.from += bytes;
        Ok(&self.buffer[taken])
    }

    fn skip(&mut self, mut bytes: u64) -> Outcome<()> {
        while bytes > 0 {
            if self.from == self.to {
                self.fill()?;
            }
            let skipped = bytes.min((self.to - self.from) as u64);
            self.from += skipped as usize;
            bytes -= skipped;
        }
        Ok(())
    }

    fn fill(&mut self) -> Outcome<()> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        match self.stream.read(&mut self.buffer[self.to..])? {
            0 => Err("the connection ended".into()),
            bytes => {
                self.to += bytes;
                Ok(())
            }
        }
    }
}

/// The path of the browser's first page.
pub fn first_page(address: SocketAddr) -> Outcome<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /json/list HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let head = read_head(&mut stream)?;
    let bytes =
        head.lines().find_map(|line| line.strip_prefix("Content-Length:")).ok_or("no length")?.trim().parse()?;
    let mut answer = vec![0; bytes];
    stream.read_exact(&mut answer)?;
    let answer = String::from_utf8(answer)?;
    let at = answer.find("/devtools/page/").ok_or("no page")?;
    Ok(answer[at..].split('"').next().unwrap_or_default().to_owned())
}

/// Plays an idle browser for `count` connections, and answers their sockets.
pub fn answer_handshakes(listener: &TcpListener, count: usize) -> Vec<TcpStream> {
    let sockets = listener.incoming().take(count).flatten();
    let answered = sockets.filter_map(|mut stream| {
        read_head(&mut stream).ok()?;
        stream.write_all(ANSWER).ok()?;
        Some(stream)
    });
    answered.collect()
}

fn read_head(stream: &mut TcpStream) -> Outcome<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
