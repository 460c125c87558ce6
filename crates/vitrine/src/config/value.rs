//! Settings that are more than a number or a word: rate limits, proxies with holders, host names with addresses.
//!
//! Each has one text form, for flags and the environment, and takes the table that reads well in a file too.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use vitrine_capsule::{NATIVE, Runtime, RuntimeKind};
use vitrine_model::OrganizationId;
use vitrine_model::rate::RateLimit;
use vitrine_server::upstream::ProxyUrl;

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

/// An OCI runtime and the driver's name that it goes by: `NAME=KIND:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRuntime(pub Runtime);

impl FromStr for NamedRuntime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not NAME=KIND:PATH, for example gvisor=runsc:/usr/bin/runsc");
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (kind, path) = rest.split_once(':').ok_or_else(wrong)?;
        let kinds = || RuntimeKind::ALL.map(RuntimeKind::as_str).join(", ");
        let kind = RuntimeKind::parse(kind.trim()).ok_or_else(|| format!("`{kind}` is not one of {}", kinds()))?;
        let (name, program) = (name.trim().to_owned(), PathBuf::from(path.trim()));
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || name == NATIVE || name.starts_with('-') || !name.chars().all(plain) {
            return Err(format!("`{name}` is no name for a driver: use a-z, 0-9 and hyphens, and not `{NATIVE}`"));
        }
        if !program.is_absolute() {
            return Err(format!("`{}` is no absolute path", program.display()));
        }
        Ok(Self(Runtime { name, program, kind }))
    }
}

impl Serialize for NamedRuntime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Runtime { name, program, kind } = &self.0;
        serializer.collect_str(&format_args!("{name}={}:{}", kind.as_str(), program.display()))
    }
}

impl<'de> Deserialize<'de> for NamedRuntime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A proxy that one organization holds: `ORGANIZATION=PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldProxy {
    pub organization: OrganizationId,
    pub proxy: ProxyUrl,
}

impl FromStr for HeldProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (organization, proxy) =
            text.split_once('=').ok_or("expected ORGANIZATION=PROXY, the organization by its id")?;
        let organization =
            OrganizationId::parse(organization.trim()).map_err(|error| format!("organization: {error}"))?;
        let proxy = ProxyUrl::try_from(proxy.trim().to_owned()).map_err(|error| format!("proxy: {error}"))?;
        Ok(Self { organization, proxy })
    }
}

impl Serialize for HeldProxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The proxy's text has no credentials in it.
        serializer.collect_str(&format_args!("{}={}", self.organization, String::from(self.proxy.clone())))
    }
}

impl<'de> Deserialize<'de> for HeldProxy {
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
    fn a_held_proxy_names_its_organization_and_keeps_its_credentials_to_itself() {
        let id = "m".repeat(32);
        let held: HeldProxy = format!("{id}=socks5://me:p%40ss@proxy.test:1080").parse().unwrap();
        assert_eq!(held.organization.as_str(), id);
        assert_eq!(serde_json::to_value(&held).unwrap(), format!("{id}=socks5://***@proxy.test:1080"));
        assert!(!format!("{held:?}").contains("p@ss"));
        for wrong in ["socks5://proxy.test:1080", "x=socks5://a:1", &format!("{id}=a:1")] {
            assert!(wrong.parse::<HeldProxy>().is_err(), "{wrong}");
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
