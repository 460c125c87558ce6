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
