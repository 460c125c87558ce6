//! WebSocket frames, as far as a byte carrier must know them: where each begins and ends, and which are control frames.
//!
//! The scanner is handed bytes in pieces of any size and never changes them. A header or a control frame that is not whole yet
//! is handed in again with more bytes behind it, so that what was let through always ends inside a payload or between frames.

/// Bytes of a control frame's payload at most (RFC 6455, 5.5).
const CONTROL_PAYLOAD_MAX: usize = 125;
/// Bytes of a control frame at most: header, mask, payload.
pub(super) const CONTROL_FRAME_MAX: usize = 2 + MASK_BYTES + CONTROL_PAYLOAD_MAX;
const MASK_BYTES: usize = 4;
/// What our own pings carry, so that their pongs can be told from those that an end asked for itself.
const PING_MARK: &[u8] = b"vitrine";
/// Stands for "the close frame carried no code" (RFC 6455, 7.4.1); never sent.
pub(super) const NO_CODE: u16 = 1005;

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Who sends the frames: a client masks them, a browser does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Browser,
}

/// What breaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("a frame with reserved bits set")]
    ReservedBits,
    #[error("a frame of an unknown kind")]
    UnknownKind,
    #[error("a frame that is masked the wrong way")]
    Mask,
    #[error("a control frame in fragments or too long")]
    Control,
    #[error("a message inside another or a continuation of none")]
    Fragments,
    #[error("a length above 2^63")]
    Length,
    #[error("a close frame with half a code")]
    CloseCode,
}

/// What stands at the front of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// So many bytes of data frames or of somebody's ping or pong.
    Pass(usize),
    /// The whole pong to a ping of ours.
    OurPong(usize),
    /// A whole close frame and its code.
    Close { bytes: usize, code: u16 },
    /// A header or control frame that is not whole yet.
    Partial,
}

/// Follows the frames of one direction.
#[derive(Debug)]
pub(super) struct Scanner {
    sender: Sender,
    payload_left: u64,
    /// A message was begun and its final frame has not come.
    in_message: bool,
}

struct Header {
    bytes: usize,
    payload: u64,
}

impl Scanner {
    pub(super) fn new(sender: Sender) -> Self {
        Self { sender, payload_left: 0, in_message: false }
    }

    /// Whether everything let through so far ends between two frames.
    pub(super) fn at_boundary(&self) -> bool {
        self.payload_left == 0
    }

    /// Judges the front of `bytes`, which is not empty and follows what was let through.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<Piece, Violation> {
        if self.payload_left > 0 {
            return Ok(Piece::Pass(self.take(bytes.len())));
        }
        self.check(bytes)?;
        let Some(header) = header(bytes)? else {
            return Ok(Piece::Partial);
        };
        if bytes[0] & OPCODE >= CLOSE {
            return self.control(bytes, &header);
        }
        self.in_message = bytes[0] & FINAL == 0;
        self.payload_left = header.payload;
        Ok(Piece::Pass(header.bytes + self.take(bytes.len() - header.bytes)))
    }

    fn take(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(available);
        self.payload_left -= taken as u64;
        taken
    }

    /// Refuses what the first two bytes of a frame already show to be wrong.
    fn check(&self, bytes: &[u8]) -> Result<(), Violation> {
        let first = bytes[0];
        if first & RESERVED != 0 {
            return Err(Violation::ReservedBits);
        }
        match first & OPCODE {
            CONTINUATION if !self.in_message => return Err(Violation::Fragments),
            TEXT | BINARY if self.in_message => return Err(Violation::Fragments),
            CLOSE | PING | PONG if first & FINAL == 0 => return Err(Violation::Control),
            CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG => {}
            _ => return Err(Violation::UnknownKind),
        }
        let Some(second) = bytes.get(1) else {
            return Ok(());
        };
        if (second & MASKED != 0) != (self.sender == Sender::Client) {
            return Err(Violation::Mask);
        }
        if first & OPCODE >= CLOSE && usize::from(second & !MASKED) > CONTROL_PAYLOAD_MAX {
            return Err(Violation::Control);
        }
        Ok(())
    }

    fn control(&self, bytes: &[u8], header: &Header) -> Result<Piece, Violation> {
        let end = header.bytes + header.payload as usize;
        let Some(payload) = bytes.get(header.bytes..end) else {
            return Ok(Piece::Partial);
        };
        let mask = match self.sender {
            Sender::Client => &bytes[header.bytes - MASK_BYTES..header.bytes],
            Sender::Browser => &[0; MASK_BYTES],
        };
        let mut plain = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key);
        match bytes[0] & OPCODE {
            PONG if plain.clone().eq(PING_MARK.iter().copied()) => Ok(Piece::OurPong(end)),
            CLOSE => match (plain.next(), plain.next()) {
                (None, _) => Ok(Piece::Close { bytes: end, code: NO_CODE }),
                (Some(high), Some(low)) => Ok(Piece::Close { bytes: end, code: u16::from_be_bytes([high, low]) }),
                (Some(_), None) => Err(Violation::CloseCode),
            },
            _ => Ok(Piece::Pass(end)),
        }
    }
}

/// The header at the front of `bytes`, when it is whole.
fn header(bytes: &[u8]) -> Result<Option<Header>, Violation> {
    let Some(second) = bytes.get(1) else {
        return Ok(None);
    };
    let (length_bytes, short) = match second & !MASKED {
        126 => (2, 0),
        127 => (8, 0),
        short => (0, short),
    };
    let mask_bytes = if second & MASKED != 0 { MASK_BYTES } else { 0 };
    let header_bytes = 2 + length_bytes + mask_bytes;
    if bytes.len() < header_bytes {
        return Ok(None);
    }
    let long = bytes[2..2 + length_bytes].iter().fold(0u64, |length, byte| length << 8 | u64::from(*byte));
    if long >> 63 != 0 {
        return Err(Violation::Length);
    }
    Ok(Some(Header { bytes: header_bytes, payload: long + u64::from(short) }))
}

/// A ping of ours.
pub(super) fn ping(from: Sender) -> Vec<u8> {
    control(from, PING, PING_MARK)
}

/// A close frame; [`NO_CODE`] makes an empty one.
pub(super) fn close(from: Sender, code: u16, reason: &str) -> Vec<u8> {
    if code == NO_CODE {
        return control(from, CLOSE, &[]);
    }
    let mut payload = code.to_be_bytes().to_vec();
    // Reasons are our own plain ASCII words: cutting one cannot split a character.
    payload.extend(reason.bytes().take(CONTROL_PAYLOAD_MAX - payload.len()));
    control(from, CLOSE, &payload)
}

fn control(from: Sender, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FINAL | opcode, payload.len() as u8];
    if from == Sender::Client {
        frame[1] |= MASKED;
        // A mask protects caches between client and server from hostile payloads; ours are fixed words, so zero does.
        frame.extend([0; MASK_BYTES]);
    }
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut bytes = vec![first];
        let masked = if mask.is_some() { MASKED } else { 0 };
        match payload.len() {
            short @ 0..126 => bytes.push(masked | short as u8),
            middle @ 126..65_536 => {
                bytes.push(masked | 126);
                bytes.extend((middle as u16).to_be_bytes());
            }
            long => {
                bytes.push(masked | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        let mask = mask.inspect(|mask| bytes.extend(mask)).unwrap_or_default();
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    /// Lets `bytes` through in pieces cut at `cuts`, and says what passed, how many pongs were ours and how it closed.
    fn scan(sender: Sender, bytes: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, Option<u16>), Violation> {
        let mut scanner = Scanner::new(sender);
        let (mut passed, mut pongs, mut carry, mut from) = (Vec::new(), 0, Vec::new(), 0);
        for cut in cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]) {
            let cut = cut.max(from);
            carry.extend_from_slice(&bytes[from..cut]);
            from = cut;
            while !carry.is_empty() {
                match scanner.next(&carry)? {
                    Piece::Pass(count) => passed.extend(carry.drain(..count)),
                    Piece::OurPong(count) => {
                        carry.drain(..count);
                        pongs += 1;
                    }
                    Piece::Close { bytes, code } => {
                        passed.extend(carry.drain(..bytes));
                        return Ok((passed, pongs, Some(code)));
                    }
                    Piece::Partial => {
                        assert!(carry.len() < CONTROL_FRAME_MAX, "what is carried over is bounded");
                        assert!(scanner.at_boundary());
                        break;
                    }
                }
            }
        }
        assert!(carry.is_empty());
        Ok((passed, pongs, None))
    }

    fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let size = prop_oneof![0usize..130, 120usize..130, 65_530usize..65_540];
        let payload = size.prop_map(|size| (0..size).map(|byte| byte as u8).collect::<Vec<u8>>());
        prop::collection::vec(payload, 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_split_of_any_frames_passes_unchanged(
            payloads in messages(),
            mask in any::<[u8; 4]>(),
            from_client in any::<bool>(),
            cuts in prop::collection::vec(0usize..200_000, 0..40),
        ) {
            let (sender, mask) = if from_client { (Sender::Client, Some(mask)) } else { (Sender::Browser, None) };
            let mut sent = Vec::new();
            let mut expected = Vec::new();
            for payload in &payloads {
                // A message in two fragments with a ping of theirs and a pong to ours between them.
                let half = payload.len() / 2;
                let before = [frame(TEXT, &payload[..half], mask), frame(FINAL | PING, b"theirs", mask)].concat();
                let after = frame(FINAL | CONTINUATION, &payload[half..], mask);
                sent.extend([before.as_slice(), &frame(FINAL | PONG, PING_MARK, mask), &after].concat());
                expected.extend([before, after].concat());
            }
            sent.extend(frame(FINAL | CLOSE, &[0x03, 0xe8, b'x'], mask));
            expected.extend(frame(FINAL | CLOSE, &[0x03, 0xe8, b'x'], mask));
            let mut cuts = cuts;
            cuts.sort_unstable_by_key(|cut| cut % (sent.len() + 1));
            let (passed, pongs, code) = scan(sender, &sent, &cuts).unwrap();
            prop_assert!(passed == expected);
            prop_assert_eq!((pongs, code), (payloads.len(), Some(1000)));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 1..400), cuts in prop::collection::vec(0usize..400, 0..9)) {
            let mut cuts = cuts;
            cuts.sort_unstable_by_key(|cut| cut % (bytes.len() + 1));
            let mut scanner = Scanner::new(Sender::Client);
            let mut at = 0;
            while at < bytes.len() {
                match scanner.next(&bytes[at..]) {
                    Ok(Piece::Pass(count) | Piece::OurPong(count) | Piece::Close { bytes: count, .. }) => at += count,
                    Ok(Piece::Partial) | Err(_) => break,
                }
            }
        }
    }

    #[test]
    fn each_one_byte_split_passes() {
        let mask = Some([1, 2, 3, 4]);
        let bytes = [frame(FINAL | TEXT, &[7; 300], mask), frame(FINAL | BINARY, &[], mask)].concat();
        let every: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(scan(Sender::Client, &bytes, &every).unwrap().0, bytes);
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        let mask = Some([0; 4]);
        let client = |bytes: &[u8]| scan(Sender::Client, bytes, &[]).unwrap_err();
        assert_eq!(client(&frame(FINAL | TEXT, b"x", None)), Violation::Mask);
        assert_eq!(scan(Sender::Browser, &frame(FINAL | TEXT, b"x", mask), &[]).unwrap_err(), Violation::Mask);
        assert_eq!(client(&frame(FINAL | 0x40 | TEXT, b"x", mask)), Violation::ReservedBits);
        assert_eq!(client(&frame(FINAL | 3, b"x", mask)), Violation::UnknownKind);
        assert_eq!(client(&frame(FINAL | CONTINUATION, b"x", mask)), Violation::Fragments);
        let nested = [frame(TEXT, b"x", mask), frame(FINAL | TEXT, b"y", mask)].concat();
        assert_eq!(client(&nested), Violation::Fragments);
        assert_eq!(client(&frame(PING, b"x", mask)), Violation::Control);
        assert_eq!(client(&frame(FINAL | PING, &[0; 126], mask)), Violation::Control);
        assert_eq!(client(&frame(FINAL | CLOSE, &[3], mask)), Violation::CloseCode);
        assert_eq!(client(&[FINAL | TEXT, MASKED | 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Violation::Length);
        assert_eq!(client(b"GET / HTTP/1.1\r\n\r\n"), Violation::ReservedBits);
    }

    #[test]
    fn our_own_frames_are_good_ones() {
        for from in [Sender::Client, Sender::Browser] {
            let close = close(from, 4001, "max_duration");
            assert_eq!(scan(from, &close, &[]).unwrap(), (close.clone(), 0, Some(4001)));
            assert_eq!(scan(from, &super::close(from, NO_CODE, ""), &[]).unwrap().2, Some(NO_CODE));
            assert_eq!(scan(from, &ping(from), &[]).unwrap().0, ping(from));
        }
    }
}
