//! The signature of Stripe's calls: `t=SECONDS,v1=HEX`, an HMAC-SHA-256 over `SECONDS.BODY`. While a secret is being replaced
//! there are several `v1`.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use vitrine_model::EpochMs;

/// A call that is older or younger than this is not believed: five minutes, as Stripe's own libraries have it.
const TOLERANCE_S: i64 = 300;
/// Longer headers are not read.
const HEADER_BYTES_MAX: usize = 2_048;

/// Whether `header` signs `body` with `secret` at about `now`.
pub fn is_good(header: &str, body: &[u8], secret: &str, now: EpochMs) -> bool {
    if header.len() > HEADER_BYTES_MAX {
        return false;
    }
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let Some((_, time)) = parts().find(|(name, _)| *name == "t") else { return false };
    let Ok(seconds) = time.parse::<i64>() else { return false };
    if (now / 1_000).saturating_sub(seconds).unsigned_abs() > TOLERANCE_S.unsigned_abs() {
        return false;
    }
    parts().filter(|(name, _)| *name == "v1").any(|(_, signature)| {
        let Some(signature) = bytes(signature) else { return false };
        // HMAC takes a key of any length; the error type exists for other MACs.
        let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes()) else { return false };
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.verify_slice(&signature).is_ok()
    })
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let pairs = hexadecimal.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test`.
    const SIGNED: &str = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const AT: EpochMs = 1_700_000_000_000;

    #[test]
    fn only_what_was_signed_with_the_secret_a_moment_ago_is_good() {
        let header = format!("t=1700000000,v1={SIGNED}");
        assert!(is_good(&header, BODY, "whsec_test", AT));
        assert!(is_good(&header, BODY, "whsec_test", AT + 299_000));
        let rotated = format!("t=1700000000,v1={},v1={SIGNED},v0=aa", "00".repeat(32));
        assert!(is_good(&rotated, BODY, "whsec_test", AT));
        assert!(!is_good(&header, BODY, "whsec_test", AT + 301_000), "too old");
        assert!(!is_good(&header, BODY, "whsec_test", AT - 301_000), "from the future");
        assert!(!is_good(&header, BODY, "whsec_other", AT));
        assert!(!is_good(&header, br#"{"id":"evt_2"}"#, "whsec_test", AT));
        assert!(!is_good(&header.replace("t=1700000000", "t=1700000001"), BODY, "whsec_test", AT));
        for broken in ["", "t=", "v1=00", "t=x,v1=00", "t=1700000000", "t=1700000000,v1=", "t=1700000000,v1=zz", "é=é"]
        {
            assert!(!is_good(broken, BODY, "whsec_test", AT), "{broken}");
        }
    }
}
