//! An upstream proxy, and text that must not be seen.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Text that never appears in `Debug`, a log or an answer. It does travel in wire types between server and node.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    Http,
    Https,
    Socks5,
}

impl ProxyProtocol {
    /// All protocols.
    pub const ALL: [ProxyProtocol; 3] = [ProxyProtocol::Http, ProxyProtocol::Https, ProxyProtocol::Socks5];

    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            ProxyProtocol::Http => "http",
            ProxyProtocol::Https => "https",
            ProxyProtocol::Socks5 => "socks5",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<ProxyProtocol> {
        ProxyProtocol::ALL.into_iter().find(|protocol| protocol.as_str() == word)
    }
}

/// An upstream proxy with its credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    pub protocol: ProxyProtocol,
    /// A name or an address.
    pub host: String,
    pub port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}
