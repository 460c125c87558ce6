//! SOCKS5 with user name and password (RFC 1928, RFC 1929).
//!
//! Every answer has a length that is known before it is read, so that nothing of the destination's is swallowed.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::upstream::{Destination, Host, Stream};
use crate::{Proxy, UpstreamError};

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const METHOD_NONE: u8 = 0;
const METHOD_PASSWORD: u8 = 2;
const METHOD_REFUSED: u8 = 0xff;
const COMMAND_CONNECT: u8 = 1;
const ADDRESS_V4: u8 = 1;
const ADDRESS_NAME: u8 = 3;
const ADDRESS_V6: u8 = 4;

fn cut(proxy: &Proxy) -> impl Fn(io::Error) -> UpstreamError + '_ {
    |error| UpstreamError::Connect { host: proxy.host.clone(), reason: error.to_string() }
}

fn wrong(proxy: &Proxy, reason: &'static str) -> UpstreamError {
    UpstreamError::Answer { host: proxy.host.clone(), reason }
}

/// Greets the proxy and logs in, if it wants that.
pub(crate) async fn log_in(stream: &mut impl Stream, proxy: &Proxy) -> Result<(), UpstreamError> {
    let credentials = proxy.credentials();
    let greeting: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, METHOD_NONE, METHOD_PASSWORD],
        None => &[VERSION, 1, METHOD_NONE],
    };
    let [version, method] = exchange(stream, greeting).await.map_err(cut(proxy))?;
    if version != VERSION {
        return Err(wrong(proxy, "it does not speak SOCKS5"));
    }
    let refused = || UpstreamError::Credentials { host: proxy.host.clone() };
    match (method, credentials) {
        (METHOD_NONE, _) => Ok(()),
        (METHOD_PASSWORD, Some((username, password))) => {
            let login = login(username, password).ok_or_else(refused)?;
            let [_, status] = exchange(stream, &login).await.map_err(cut(proxy))?;
            if status == 0 { Ok(()) } else { Err(refused()) }
        }
        (METHOD_REFUSED, _) => Err(refused()),
        _ => Err(wrong(proxy, "it chose a login that was not offered")),
    }
}

/// `None` when one of the two is longer than the protocol can carry.
fn login(username: &str, password: &str) -> Option<Vec<u8>> {
    let mut login = vec![LOGIN_VERSION, u8::try_from(username.len()).ok()?];
    login.extend_from_slice(username.as_bytes());
    login.push(u8::try_from(password.len()).ok()?);
    login.extend_from_slice(password.as_bytes());
    Some(login)
}

/// Asks for the destination.
pub(crate) async fn tunnel(
    stream: &mut impl Stream,
    proxy: &Proxy,
    destination: &Destination,
) -> Result<(), UpstreamError> {
    let mut request = vec![VERSION, COMMAND_CONNECT, 0];
    match &destination.host {
        // Canonical names have 253 bytes at most.
        Host::Name(name) => {
            request.extend_from_slice(&[ADDRESS_NAME, name.len() as u8]);
            request.extend_from_slice(name.as_bytes());
        }
        Host::Address(IpAddr::V4(address)) => {
            request.push(ADDRESS_V4);
            request.extend_from_slice(&address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            request.push(ADDRESS_V6);
            request.extend_from_slice(&address.octets());
        }
    }
    request.extend_from_slice(&destination.port.to_be_bytes());

    let [version, code, _, address_kind, first] = exchange(stream, &request).await.map_err(cut(proxy))?;
    if version != VERSION {
        return Err(wrong(proxy, "it does not speak SOCKS5"));
    }
    if code != 0 {
        return Err(UpstreamError::Destination { host: proxy.host.clone(), code: code.into() });
    }
    // The address that it uses itself is of no interest, but has to be read: the first byte of it is read already.
    let rest = match address_kind {
        ADDRESS_V4 => 3,
        ADDRESS_V6 => 15,
        ADDRESS_NAME => usize::from(first),
        _ => return Err(wrong(proxy, "it answered with an unknown kind of address")),
    };
    let mut bound = [0; u8::MAX as usize + 2];
    stream.read_exact(&mut bound[..rest + 2]).await.map_err(cut(proxy))?;
    Ok(())
}

async fn exchange<const BYTES: usize>(stream: &mut impl Stream, request: &[u8]) -> io::Result<[u8; BYTES]> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut answer = [0; BYTES];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;
    use crate::upstream::Host;
    use crate::{ProxyProtocol, Secret};

    fn proxy(username: &str) -> Proxy {
        let protocol = ProxyProtocol::Socks5;
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
            log_in(&mut ours, &proxy).await?;
            tunnel(&mut ours, &proxy, &destination).await?;
            let mut rest = Vec::new();
            ours.read_to_end(&mut rest).await.unwrap();
            Ok(rest)
        })
    }

    const STARTS: [&[u8]; 5] =
        [b"", b"\x05\x00", b"\x05\x02\x01\x00", b"\x05\x00\x05\x00\x00", b"\x05\x00\x05\x00\x00\x03"];

    #[test]
    fn answers() {
        let good = b"\x05\x02\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00early";
        assert_eq!(result(good, "alice").unwrap(), b"early");
        let long = "a".repeat(256);
        assert!(matches!(result(good, &long), Err(UpstreamError::Credentials { .. })));
        for refused in [b"\x05\x02\x01\x01", b"\x05\xff\x00\x00"] {
            assert!(matches!(result(refused, "alice"), Err(UpstreamError::Credentials { .. })));
        }
        let unreachable = b"\x05\x00\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00";
        assert!(matches!(result(unreachable, "alice"), Err(UpstreamError::Destination { code: 4, .. })));
        assert!(matches!(result(b"\x04\x00", "alice"), Err(UpstreamError::Answer { .. })));
        assert!(matches!(result(b"\x05\x01", "alice"), Err(UpstreamError::Answer { .. })));
        assert!(matches!(result(b"\x05\x00\x05", "alice"), Err(UpstreamError::Connect { .. })));
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
