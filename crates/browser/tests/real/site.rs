//! A web site for a test: one function answers every request, until the test ends.

use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const REQUEST_BYTES_MAX: usize = 16 * 1024;

pub struct Reply {
    status: &'static str,
    head: String,
    body: String,
    length: usize,
}

impl Reply {
    /// `head` is header lines without the last line's end.
    pub fn new(head: &str, body: impl Into<String>) -> Reply {
        let body = body.into();
        Reply { status: "200 OK", head: head.to_owned(), length: body.len(), body }
    }

    pub fn html(body: impl Into<String>) -> Reply {
        Reply::new("Content-Type: text/html; charset=utf-8", body)
    }

    pub fn not_found() -> Reply {
        Reply { status: "404 Not Found", ..Reply::new("Content-Type: text/plain", "") }
    }

    /// Promises so many bytes, whatever comes.
    pub fn promising(self, length: usize) -> Reply {
        Reply { length, ..self }
    }
}

/// The path that a request asks for.
pub fn path(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or("/")
}

/// Answers with what `answer` makes of a request's text; says at which port of this machine.
pub async fn site(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a listener");
    let port = listener.local_addr().expect("address").port();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; REQUEST_BYTES_MAX];
                while let Ok(read @ 1..) = stream.read(&mut request).await {
                    let Reply { status, head, body, length } = answer(&String::from_utf8_lossy(&request[..read]));
                    let text = format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
