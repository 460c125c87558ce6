//! Ids: what they look like and how they are made.
//!
//! Most are 32 characters of `[a-z0-9]`: nine of time, two of cell, twenty-one random, so that sorting by id is sorting by
//! creation and one cell's (one database's) ids can be told from another's. A machine's is 14 hexadecimal characters.

use crate::{Entropy, EpochMs};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Characters of an id.
pub const ID_CHARS: usize = 32;
/// Base-36 digits of the creation time: 36^9 ms reach past the year 5000.
const TIME_CHARS: usize = 9;
/// The cell of a deployment with one database.
const CELL: &str = "v0";
/// Characters of a machine's id.
pub const MACHINE_ID_CHARS: usize = 14;

const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// What is wrong with text that should have been an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {expected}")]
pub struct NotAnId {
    /// What an id of this type looks like.
    pub expected: &'static str,
}

/// Random text of `[a-z0-9]`, without bias.
pub fn random_text(chars: usize, entropy: &dyn Entropy) -> String {
    // 252 is the largest multiple of 36 in a byte: bytes above it would make the first four digits likelier.
    const FAIR: u8 = 252;
    let mut text = String::with_capacity(chars);
    let mut buffer = [0u8; 32];
    while text.len() < chars {
        entropy.fill(&mut buffer);
        let fair = buffer.iter().filter(|byte| **byte < FAIR);
        text.extend(fair.take(chars - text.len()).map(|byte| ALPHABET[usize::from(byte % 36)] as char));
    }
    text
}

fn time_ordered(now: EpochMs, entropy: &dyn Entropy) -> String {
    let mut rest = now.max(0) as u64;
    let mut time = [b'0'; TIME_CHARS];
    for digit in time.iter_mut().rev() {
        *digit = ALPHABET[(rest % 36) as usize];
        rest /= 36;
    }
    let mut id: String = time.iter().map(|byte| *byte as char).collect();
    id.push_str(CELL);
    id.push_str(&random_text(ID_CHARS - id.len(), entropy));
    id
}

fn is_plain(text: &str, chars: usize) -> bool {
    text.len() == chars && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// A new id, ordered by `now`.
            pub fn new(now: EpochMs, entropy: &dyn Entropy) -> Self {
                Self(time_ordered(now, entropy))
            }

            /// Reads an id; fails on anything but 32 characters of `[a-z0-9]`.
            pub fn parse(text: &str) -> Result<Self, NotAnId> {
                if is_plain(text, ID_CHARS) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NotAnId { expected: "32 characters of a-z and 0-9" })
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        text_form!($name);
    )*};
}

macro_rules! text_form {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                Self::parse(&text)
            }
        }
        impl std::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Self::parse(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

ids! {
    /// A session: a browser or a sandbox.
    SessionId,
    /// An organization: whose sessions, keys and bill.
    OrganizationId,
    /// An API key (not its secret).
    ApiKeyId,
    /// One start of a session on one machine; a token names it, so a token of an earlier start opens nothing.
    RunId,
    /// An event in the outbox.
    EventId,
    /// A connect token that was made by request, and can be revoked.
    TokenId,
    /// A webhook.
    WebhookId,
    /// A snapshot of a sandbox's workspace.
    CheckpointId,
    /// An order of minutes.
    OrderId,
}

/// A machine: 14 hexadecimal characters, kept across boots.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineId(String);

impl MachineId {
    /// A new random machine id.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0u8; MACHINE_ID_CHARS / 2];
        entropy.fill(&mut bytes);
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Reads a machine id; fails on anything but 14 lower-case hexadecimal characters.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == MACHINE_ID_CHARS && text.bytes().all(hexadecimal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnId { expected: "14 hexadecimal characters" })
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_form!(MachineId);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    fn counting() -> impl Fn(&mut [u8]) + Send + Sync {
        let next = AtomicU8::new(0);
        move |buffer: &mut [u8]| buffer.iter_mut().for_each(|byte| *byte = next.fetch_add(7, Ordering::Relaxed))
    }

    #[test]
    fn ids_are_32_plain_characters_and_sort_by_time() {
        let entropy = counting();
        let early = SessionId::new(1_772_078_705_353, &entropy);
        let late = SessionId::new(1_772_078_705_354, &entropy);
        assert_eq!(early.as_str().len(), ID_CHARS);
        assert_eq!(SessionId::parse(early.as_str()), Ok(early.clone()));
        assert!(early < late);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "abc", &"A".repeat(32), &"a".repeat(33), "../../../../../../../etc/passwd0", &"é".repeat(16)]
        {
            assert!(SessionId::parse(text).is_err(), "{text}");
        }
        assert!(MachineId::parse("68365e2c721798").is_ok());
        assert!(MachineId::parse("68365E2C721798").is_err());
        assert!(serde_json::from_str::<SessionId>("\"x\"").is_err());
    }
}
