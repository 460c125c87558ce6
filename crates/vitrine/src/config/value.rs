//! Settings that are more than a number or a word: rate limits, proxy addresses, host names with addresses.
//!
//! Each has one text form, for flags and the environment, and takes the table that reads well in a file too.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use vitrine_model::rate::RateLimit;
use vitrine_model::{Proxy, ProxyProtocol, Secret};

/// Rate limits by class; `*` stands for every class that is not named.
///
/// As text `browsers.create=6000/2000,*=600/100` (a minute / burst); as a table `"browsers.create" = "6000/2000"`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimits(pub BTreeMap<String, RateLimit>);

impl FromStr for RateLimits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parsed = entries.map(|entry| {
            let (class, figures) = entry.split_once('=').ok_or_else(|| {
                format!("`{entry}` is not CLASS=PER_MINUTE/BURST, for example browsers.create=6000/2000")
            })?;
            Ok((class.trim().to_owned(), rate_limit(figures)?))
        });
        parsed.collect::<Result<_, String>>().map(RateLimits)
    }
}

fn rate_limit(figures: &str) -> Result<RateLimit, String> {
    let wrong = || format!("`{figures}` is not PER_MINUTE/BURST with whole numbers above 0, for example 6000/2000");
    let (per_minute, burst) = figures.split_once('/').ok_or_else(wrong)?;
    let figure = |text: &str| text.trim().parse().ok().filter(|figure: &u32| *figure > 0).ok_or_else(wrong);
    Ok(RateLimit { per_minute: figure(per_minute)?, burst: figure(burst)? })
}

impl fmt::Display for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.iter().map(|(class, limit)| format!("{class}={}/{}", limit.per_minute, limit.burst));
        f.write_str(&entries.collect::<Vec<_>>().join(","))
    }
}

impl Serialize for RateLimits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RateLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A file may write `browsers.create` with or without quotes: TOML makes a nested table of the second.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Figures(RateLimit),
            Table(BTreeMap<String, Form>),
        }
        fn flatten(class: &str, form: Form, into: &mut BTreeMap<String, RateLimit>) -> Result<(), String> {
            match form {
                Form::Text(text) if class.is_empty() => into.extend(text.parse::<RateLimits>()?.0),
                Form::Text(text) => drop(into.insert(class.to_owned(), rate_limit(&text)?)),
                Form::Figures(limit) => drop(into.insert(class.to_owned(), limit)),
                Form::Table(table) => {
                    for (name, form) in table {
                        let class = if class.is_empty() { name } else { format!("{class}.{name}") };
                        flatten(&class, form, into)?;
                    }
                }
            }
            Ok(())
        }
        let mut limits = BTreeMap::new();
        flatten("", Form::deserialize(deserializer)?, &mut limits).map_err(D::Error::custom)?;
        Ok(Self(limits))
    }
}

/// `PROTOCOL://[USER:PASSWORD@]HOST:PORT`. Neither `Debug` nor `Display` nor serialisation shows the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUrl(pub Proxy);

impl FromStr for ProxyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text itself may hold a password, so it is not repeated.
        const EXPECTED: &str = "not a proxy address: expected http, https or socks5://[USER:PASSWORD@]HOST:PORT";
        let (protocol, rest) = text.split_once("://").ok_or(EXPECTED)?;
        let protocol = ProxyProtocol::parse(protocol).ok_or(EXPECTED)?;
        let (credentials, address) = match rest.trim_end_matches('/').rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials), address),
            None => (None, rest.trim_end_matches('/')),
        };
        let (host, port) = address.rsplit_once(':').ok_or(EXPECTED)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(EXPECTED)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(EXPECTED.to_owned());
        }
        let secret = |text: &str| percent_decoded(text).map(Secret::new);
        let (username, password) = match credentials.map(|text| text.split_once(':').unwrap_or((text, ""))) {
            None => (None, None),
            Some((username, password)) => {
                (Some(secret(username)?), (!password.is_empty()).then(|| secret(password)).transpose()?)
            }
        };
        Ok(Self(Proxy { protocol, host, port, username, password }))
    }
}

/// A password may hold `@` or `:`, which a URL writes as `%40` and `%3A`.
fn percent_decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or("the proxy's credentials hold a % that is not followed by two hexadecimal digits")?);
        bytes.extend(part.bytes().skip(2));
    }
    String::from_utf8(bytes).map_err(|_| "the proxy's credentials are not UTF-8".to_owned())
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proxy { protocol, host, port, username, .. } = &self.0;
        let credentials = if username.is_some() { "***@" } else { "" };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        write!(f, "{}://{credentials}{host}:{port}", protocol.as_str())
    }
}

impl Serialize for ProxyUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProxyUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// `site.test=127.0.0.1,other.test=10.1.2.3`, or a table of the same. Whether the addresses are right is for egress to say.
pub fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Table(BTreeMap<String, Nested>),
    }
    /// A name without quotes is a nested table in TOML.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Nested {
        Address(String),
        Table(BTreeMap<String, Nested>),
    }
    fn flatten(name: String, nested: Nested, into: &mut Vec<String>) {
        match nested {
            Nested::Address(address) => into.push(format!("{name}={address}")),
            Nested::Table(table) => {
                table.into_iter().for_each(|(label, nested)| flatten(format!("{name}.{label}"), nested, into));
            }
        }
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Text(text) => text,
        Form::Table(table) => {
            let mut entries = Vec::new();
            table.into_iter().for_each(|(name, nested)| flatten(name, nested, &mut entries));
            entries.join(",")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limits_read_as_text_and_as_a_table() {
        let text: RateLimits = "browsers.create=6000/2000, *=600/100".parse().unwrap();
        let table: RateLimits =
            toml::from_str("browsers.create = \"6000/2000\"\n\"*\" = {per_minute = 600, burst = 100}").unwrap();
        assert_eq!(text, table);
        assert_eq!(text.to_string(), "*=600/100,browsers.create=6000/2000");
        for wrong in ["browsers.create", "a=1", "a=0/1", "a=1/x"] {
            assert!(wrong.parse::<RateLimits>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_proxy_address_keeps_its_credentials_to_itself() {
        let proxy: ProxyUrl = "socks5://me:p%40ss%3A@proxy.test:1080".parse().unwrap();
        assert_eq!(proxy.0.password.as_ref().map(Secret::reveal), Some("p@ss:"));
        assert_eq!(proxy.to_string(), "socks5://***@proxy.test:1080");
        assert!(!format!("{proxy:?}").contains("p@ss"));
        assert_eq!("http://[2001:db8::1]:80".parse::<ProxyUrl>().unwrap().0.host, "2001:db8::1");
        for wrong in ["proxy.test:1080", "ftp://a:1", "http://a", "http://:80", "http://a:0", "http://u:%zz@a:1"] {
            assert!(wrong.parse::<ProxyUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_read_as_text_and_as_a_table() {
        #[derive(Deserialize)]
        struct Holder {
            #[serde(deserialize_with = "hosts")]
            hosts: String,
        }
        let read = |text: &str| toml::from_str::<Holder>(text).unwrap().hosts;
        assert_eq!(read("hosts = \"a.test=127.0.0.1\""), "a.test=127.0.0.1");
        assert_eq!(
            read("[hosts]\na.test = \"127.0.0.1\"\n\"b.test\" = \"10.0.0.1\""),
            "a.test=127.0.0.1,b.test=10.0.0.1"
        );
    }
}
