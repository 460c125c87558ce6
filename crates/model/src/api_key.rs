//! API keys, the operator's key and their hashes.
//!
//! A secret is shown once; only its SHA-256 is stored. The secrets are random and long, so that a plain hash is enough:
//! there is no dictionary to try.

use crate::{Entropy, id};
use sha2::{Digest, Sha256};

/// Prefix of a cloud API key.
pub const CLOUD_PREFIX: &str = "br_live_";
/// Random characters of `[a-z0-9]` after [`CLOUD_PREFIX`].
const CLOUD_SECRET_CHARS: usize = 32;
/// Prefix of an embed API key.
pub const EMBED_PREFIX: &str = "bbx_";
/// Prefix of the operator's key.
pub const OPERATOR_PREFIX: &str = "op_";
/// Random bytes, as hexadecimal, in embed and operator keys.
const HEX_SECRET_BYTES: usize = 24;
/// No key is longer; longer text is refused before it is hashed.
pub const KEY_CHARS_MAX: usize = 64;

/// A key's secret. `Debug` never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeySecret(String);

/// SHA-256 of a secret.
pub type KeyHash = [u8; 32];

impl ApiKeySecret {
    /// A new cloud key: `br_live_` and 32 random characters.
    pub fn cloud(entropy: &dyn Entropy) -> Self {
        Self(format!("{CLOUD_PREFIX}{}", id::random_text(CLOUD_SECRET_CHARS, entropy)))
    }

    /// A new embed key: `bbx_` and 48 hexadecimal characters.
    pub fn embed(entropy: &dyn Entropy) -> Self {
        Self::hexadecimal(EMBED_PREFIX, entropy)
    }

    /// A new operator key: `op_` and 48 hexadecimal characters.
    pub fn operator(entropy: &dyn Entropy) -> Self {
        Self::hexadecimal(OPERATOR_PREFIX, entropy)
    }

    fn hexadecimal(prefix: &str, entropy: &dyn Entropy) -> Self {
        let mut bytes = [0u8; HEX_SECRET_BYTES];
        entropy.fill(&mut bytes);
        Self(format!("{prefix}{}", hexadecimal(&bytes)))
    }

    /// Takes text that a client sent; `None` when it cannot be a key.
    pub fn from_client(text: &str) -> Option<Self> {
        let known = [CLOUD_PREFIX, EMBED_PREFIX, OPERATOR_PREFIX].iter().any(|prefix| text.starts_with(prefix));
        (known && text.len() <= KEY_CHARS_MAX).then(|| Self(text.to_owned()))
    }

    /// Whether it is the operator's kind.
    pub fn is_operator(&self) -> bool {
        self.0.starts_with(OPERATOR_PREFIX)
    }

    /// The secret, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored.
    pub fn hash(&self) -> KeyHash {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The beginning, by which a person tells keys apart: prefix and four characters.
    pub fn hint(&self) -> String {
        let shown = self.0.find('_').map_or(0, |_| self.0.rfind('_').unwrap_or(0) + 5);
        self.0.chars().take(shown).collect()
    }
}

impl std::fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKeySecret")
    }
}

/// Lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_documented_shape_and_never_show_themselves() {
        let entropy = |buffer: &mut [u8]| buffer.fill(11);
        let key = ApiKeySecret::cloud(&entropy);
        assert_eq!(key.reveal().len(), CLOUD_PREFIX.len() + 32);
        assert_eq!(key.hint(), "br_live_bbbb");
        assert!(!format!("{key:?}").contains("bbbb"));
        let operator = ApiKeySecret::operator(&entropy);
        assert_eq!(operator.reveal().len(), 3 + 48);
        assert!(operator.is_operator());
        let embed = ApiKeySecret::embed(&entropy);
        assert_eq!((embed.reveal().len(), embed.hint().as_str()), (4 + 48, "bbx_0b0b"));
        assert_eq!(ApiKeySecret::from_client(key.reveal()).map(|key| key.hash()), Some(key.hash()));
        assert!(ApiKeySecret::from_client("Bearer x").is_none());
    }
}
