//! Proxies to test with: good ones for the three protocols, and bad ones that say whatever they are told to.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a proxy was asked for, in order.
pub type Asked = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Http,
    Socks5,
}

#[derive(Clone)]
pub struct Server {
    pub kind: Kind,
    pub login: Option<(&'static str, &'static str)>,
    pub tls: Option<TlsAcceptor>,
    /// Where everything that is asked for really is.
    pub destination: String,
    pub asked: Asked,
}

impl Server {
    pub fn new(kind: Kind, login: Option<(&'static str, &'static str)>, destination: String) -> Server {
        Server { kind, login, tls: None, destination, asked: Asked::default() }
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Serves until the test ends; gives the port.
    pub fn start(&self, listener: TcpListener) -> u16 {
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    // Broken clients are what some tests are about.
                    let _ = match &server.tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => server.serve(stream).await,
                            Err(error) => Err(error),
                        },
                        None => server.serve(stream).await,
                    };
                });
            }
        });
        port
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> std::io::Result<()> {
        let let_through = match self.kind {
            Kind::Http => self.http(&mut stream).await?,
            Kind::Socks5 => self.socks5(&mut stream).await?,
        };
        if !let_through {
            return Ok(());
        }
        let mut destination = TcpStream::connect(&self.destination).await?;
        copy_bidirectional(&mut stream, &mut destination).await?;
        Ok(())
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> std::io::Result<bool> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let expected = self.login.map(|(user, password)| STANDARD.encode(format!("{user}:{password}")));
        let given = head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: Basic "));
        if expected.as_deref() != given {
            stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await?;
            return Ok(false);
        }
        let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap();
        self.asked.lock().unwrap().push(target.to_owned());
        stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await?;
        Ok(true)
    }

    async fn socks5<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S) -> std::io::Result<bool> {
        assert_eq!(stream.read_u8().await?, 5);
        let mut methods = vec![0; stream.read_u8().await?.into()];
        stream.read_exact(&mut methods).await?;
        let method = if self.login.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            stream.write_all(&[5, 0xff]).await?;
            return Ok(false);
        }
        stream.write_all(&[5, method]).await?;
        if let Some((user, password)) = self.login {
            assert_eq!(stream.read_u8().await?, 1);
            let given = (read_text(stream).await?, read_text(stream).await?);
            let good = given == (user.to_owned(), password.to_owned());
            stream.write_all(&[1, u8::from(!good)]).await?;
            if !good {
                return Ok(false);
            }
        }
        let mut request = [0; 4];
        stream.read_exact(&mut request).await?;
        assert_eq!(request[..3], [5, 1, 0]);
        let host = match request[3] {
            1 => std::net::Ipv4Addr::from(stream.read_u32().await?).to_string(),
            3 => read_text(stream).await?,
            other => panic!("address kind {other}"),
        };
        let port = stream.read_u16().await?;
        self.asked.lock().unwrap().push(format!("{host}:{port}"));
        // A name as the bound address: legal, and longer than what most proxies send.
        stream.write_all(b"\x05\x00\x00\x03\x09proxy.out\x12\x34").await?;
        Ok(true)
    }
}

async fn read_text<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<String> {
    let mut text = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut text).await?;
    Ok(String::from_utf8(text).unwrap())
}

/// A certificate for the name, to be served, and the same as PEM, to be trusted.
pub fn certificate(name: &str) -> (TlsAcceptor, String) {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), cert.pem())
}

/// A server that says this to everybody, over and over, and then keeps silent.
pub fn babble(listener: TcpListener, text: Vec<u8>, times: usize) -> u16 {
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let text = text.clone();
            tokio::spawn(async move {
                for _ in 0..times {
                    if stream.write_all(&text).await.is_err() {
                        return;
                    }
                }
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    port
}
