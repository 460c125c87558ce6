//! HTTP CONNECT with Basic authentication (RFC 9110).
//!
//! The proxy's answer is hostile: its head is bounded, and only the status is believed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::upstream::{Destination, Stream};
use crate::{Proxy, UpstreamError};

/// Bytes of the proxy's answer up to its empty line.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const READ_BYTES: usize = 2048;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Asks for the destination. Gives what the destination already said.
pub(crate) async fn tunnel(
    stream: &mut impl Stream,
    proxy: &Proxy,
    destination: &Destination,
) -> Result<Vec<u8>, UpstreamError> {
    let cut = |error: std::io::Error| UpstreamError::Connect { host: proxy.host.clone(), reason: error.to_string() };
    stream.write_all(request(proxy, destination).as_bytes()).await.map_err(cut)?;
    stream.flush().await.map_err(cut)?;

    let wrong = |reason| UpstreamError::Answer { host: proxy.host.clone(), reason };
    let mut head = Vec::new();
    let end = loop {
        let known = head.len();
        head.reserve(READ_BYTES);
        let read = stream.read_buf(&mut head).await.map_err(cut)?;
        if read == 0 {
            return Err(wrong("it hung up instead of answering"));
        }
        let from = known.saturating_sub(HEAD_END.len() - 1);
        if let Some(position) = head[from..].windows(HEAD_END.len()).position(|window| window == HEAD_END) {
            break from + position + HEAD_END.len();
        }
        if head.len() >= HEAD_BYTES_MAX {
            return Err(wrong("the head of its answer is too long"));
        }
        if status(&head).is_none() && head.len() >= STATUS_BYTES {
            return Err(wrong("it does not speak HTTP"));
        }
    };
    match status(&head[..end]).ok_or_else(|| wrong("it does not speak HTTP"))? {
        200..=299 => Ok(head.split_off(end)),
        407 => Err(UpstreamError::Credentials { host: proxy.host.clone() }),
        code => Err(UpstreamError::Destination { host: proxy.host.clone(), code }),
    }
}

/// The destination is a canonical name or an address: it cannot break out of its line.
fn request(proxy: &Proxy, destination: &Destination) -> String {
    let mut request = format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n");
    if let Some((username, password)) = proxy.credentials() {
        let credentials = STANDARD.encode(format!("{username}:{password}"));
        request.push_str(&format!("Proxy-Authorization: Basic {credentials}\r\n"));
    }
    request.push_str("\r\n");
    request
}

/// `HTTP/1.1 200`
const STATUS_BYTES: usize = 12;

fn status(head: &[u8]) -> Option<u16> {
    let line: &[u8; STATUS_BYTES] = head.first_chunk()?;
    let code = line.strip_prefix(b"HTTP/1.0 ").or_else(|| line.strip_prefix(b"HTTP/1.1 "))?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;
    use crate::upstream::Host;
    use crate::{ProxyProtocol, Secret};

    fn proxy(username: &str) -> Proxy {
        let protocol = ProxyProtocol::Http;
        let (username, password) = (Some(username.to_owned()), Some(Secret::new("secret")));
        Proxy { protocol, host: "proxy.test".to_owned(), port: 1, username, password }
    }

    /// What comes of a proxy that says this, whatever it is asked, and hangs up.
    fn result(answer: &[u8], username: &str) -> Result<Vec<u8>, UpstreamError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut ours, mut theirs) = duplex(1024 * 1024);
            theirs.write_all(answer).await.unwrap();
            theirs.shutdown().await.unwrap();
            let destination = Destination { host: Host::Name("page.test".into()), port: 443 };
            let proxy = proxy(username);
            let mut early = tunnel(&mut ours, &proxy, &destination).await?;
            ours.read_to_end(&mut early).await.unwrap();
            Ok(early)
        })
    }

    const STARTS: [&[u8]; 3] = [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200\r\n\r\n"];

    #[test]
    fn answers() {
        assert_eq!(result(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nearly", "alice").unwrap(), b"early");
        assert_eq!(result(b"HTTP/1.0 204\r\n\r\n", "alice").unwrap(), b"");
        assert!(matches!(result(b"HTTP/1.1 407 No\r\n\r\n", "alice"), Err(UpstreamError::Credentials { .. })));
        assert!(matches!(
            result(b"HTTP/1.1 503 No\r\n\r\n", "alice"),
            Err(UpstreamError::Destination { code: 503, .. })
        ));
        assert!(matches!(result(b"HTTP/1.1 200 OK\r\n", "alice"), Err(UpstreamError::Answer { .. })));
        assert!(matches!(result(b"SSH-2.0-server\r\n", "alice"), Err(UpstreamError::Answer { .. })));
        let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &[b'x'; 100_000]].concat();
        assert!(matches!(result(&endless, "alice"), Err(UpstreamError::Answer { .. })));
    }

    proptest! {
        #[test]
        fn any_answer_is_survived(start in 0..STARTS.len(), rest in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let answer = [STARTS[start], &rest].concat();
            if let Ok(early) = result(&answer, "alice") {
                prop_assert!(answer.ends_with(&early));
            }
        }
    }
}
