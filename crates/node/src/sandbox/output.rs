//! Where a program's output goes: collected for an answer, or told as it comes.

use std::future::Future;
use tokio::sync::mpsc;

/// What is kept of each stream for an answer.
pub(crate) const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Takes output. What it waits for, the program waits for.
pub(crate) trait Sink: Send {
    fn take(&mut self, stream: Stream, bytes: &[u8]) -> impl Future<Output = ()> + Send;
}

/// Output up to a limit; the rest is dropped, so that the program goes on.
#[derive(Default)]
pub(crate) struct Collected {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    pub(crate) truncated: bool,
}

impl Sink for Collected {
    async fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let kept = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let room = OUTPUT_BYTES_MAX - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.truncated |= bytes.len() > room;
    }
}

impl Collected {
    /// Both streams as text.
    pub(crate) fn texts(mut self) -> (String, String) {
        if self.truncated {
            // What was cut within a letter ends before it.
            for kept in [&mut self.stdout, &mut self.stderr] {
                kept.truncate(kept.len() - unfinished(kept));
            }
        }
        (text(self.stdout), text(self.stderr))
    }
}

/// A piece of output.
pub(crate) struct Said {
    pub(crate) stream: Stream,
    pub(crate) text: String,
}

/// Tells output as it comes; a letter that came in two pieces is told with the second.
pub(crate) struct Told {
    to: mpsc::Sender<Said>,
    halves: [Vec<u8>; 2],
}

impl Told {
    pub(crate) fn new(to: mpsc::Sender<Said>) -> Self {
        Self { to, halves: Default::default() }
    }

    /// Tells what was held back.
    pub(crate) async fn finish(self) {
        for (half, stream) in self.halves.into_iter().zip([Stream::Stdout, Stream::Stderr]) {
            if !half.is_empty() {
                // Whoever listened may have left.
                let _ = self.to.send(Said { stream, text: text(half) }).await;
            }
        }
    }
}

impl Sink for Told {
    async fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let half = &mut self.halves[stream as usize];
        let mut whole = std::mem::take(half);
        whole.extend_from_slice(bytes);
        *half = whole.split_off(whole.len() - unfinished(&whole));
        if !whole.is_empty() {
            let _ = self.to.send(Said { stream, text: text(whole) }).await;
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// How many bytes at the end begin a letter of UTF-8 that is not finished.
pub(crate) fn unfinished(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let length = match byte {
            0b1100_0000..=0b1101_1111 => 2,
            0b1110_0000..=0b1110_1111 => 3,
            0b1111_0000..=0b1111_0111 => 4,
            0b1000_0000..=0b1011_1111 => continue,
            _ => return 0,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_never_cut() {
        assert_eq!(unfinished("aé".as_bytes()), 0);
        assert_eq!(unfinished(&"aé".as_bytes()[..2]), 1);
        assert_eq!(unfinished(&"日".as_bytes()[..2]), 2);
        assert_eq!(unfinished(&"🎉".as_bytes()[..3]), 3);
        assert_eq!(unfinished(&[0x80, 0x80, 0x80, 0x80]), 0, "what is no text is passed on");
        assert_eq!(unfinished(b""), 0);
    }

    #[tokio::test]
    async fn output_is_told_in_whole_letters_and_collected_up_to_a_limit() {
        let (to, mut from) = mpsc::channel(8);
        let mut told = Told::new(to);
        let letters = "日本🎉".as_bytes();
        for byte in letters {
            told.take(Stream::Stdout, &[*byte]).await;
        }
        told.take(Stream::Stderr, &[b'x', 0xe6]).await;
        told.finish().await;
        let mut all = [String::new(), String::new()];
        while let Some(said) = from.recv().await {
            all[said.stream as usize].push_str(&said.text);
        }
        assert_eq!(all, ["日本🎉".to_owned(), "x\u{fffd}".to_owned()]);

        let mut collected = Collected::default();
        collected.take(Stream::Stdout, &vec![b'a'; OUTPUT_BYTES_MAX - 1]).await;
        collected.take(Stream::Stdout, "é".as_bytes()).await;
        collected.take(Stream::Stdout, b"more").await;
        assert!(collected.truncated);
        let (stdout, stderr) = collected.texts();
        assert_eq!((stdout.len(), stderr.len()), (OUTPUT_BYTES_MAX - 1, 0));
    }
}
