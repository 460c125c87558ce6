//! Trust in the machine's own certificate authorities. Chromium ignores the system's bundle: beside its built-in roots it
//! reads only the NSS database in `$HOME/.pki/nssdb`, in both builds.
//!
//! Assumes `sh` and `certutil` (libnss3-tools) in the host. Promises that nothing but what the machine trusts is added.
//! The files must be writable for the browser's user (Chromium opens them so, and ignores what it cannot open), hence a
//! copy for each session: three files, 80 KB. They may be copied between folders, so one set serves every session of
//! the same `key`.

use crate::error::BrowserError;
use crate::host::{Command, Exit, Host, HostError};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The database's folder below `$HOME`.
pub const DATABASE: &str = ".pki/nssdb";
/// Authorities of our own beyond the public ones; an operator has a handful. More is a bundle of another kind.
const CERTIFICATES_MAX: usize = 256;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// `$1` is the folder, the others are certificates. One that NSS cannot read is named and left out: a bundle with a
/// broken entry must not take every browser down.
const SCRIPT: &str = r#"set -e
folder=$1
shift
mkdir -p "$folder"
certutil -N --empty-password -d "sql:$folder"
number=0
for certificate; do
    number=$((number + 1))
    printf '%s\n' "$certificate" | certutil -A -a -n "machine-$number" -t C,, -d "sql:$folder" || echo "certificate $number refused"
done"#;

/// Certificates that the machine trusts and Chromium does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The base64 bodies, without white space.
    certificates: BTreeSet<String>,
}

impl Trust {
    /// What the bundle `machine` has and `public` (the roots that a distribution ships, which Chromium judges for itself)
    /// lacks; both in PEM.
    pub fn beyond(machine: &str, public: &str) -> Trust {
        let public = certificates(public);
        let own = certificates(machine).into_iter().filter(|certificate| !public.contains(certificate));
        Trust { certificates: own.take(CERTIFICATES_MAX).collect() }
    }

    /// Nothing to add: no database is needed.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// Names the set: the same certificates in any order have the same key. 64 hexadecimal digits.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for certificate in &self.certificates {
            hash.update(certificate);
            hash.update("\n");
        }
        hash.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Makes the database in `folder` of the host: `DATABASE` below a home, or a place to copy it from.
    pub async fn write(&self, host: &dyn Host, folder: &str) -> Result<(), BrowserError> {
        let program = ["/bin/sh", "-c", SCRIPT, "sh", folder].map(str::to_owned);
        let pem = self.certificates.iter().map(|body| format!("{BEGIN}\n{}\n{END}", wrapped(body)));
        let running = host
            .spawn(Command {
                argv: program.into_iter().chain(pem).collect(),
                env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
                cwd: "/".into(),
            })
            .await?;
        let exit = running.wait().await;
        let output = running.tail().await;
        if exit != Exit::Code(0) {
            return Err(HostError(format!("certutil ended with {exit}: {}", output.trim())).into());
        }
        if output.contains("refused") {
            tracing::warn!(output = output.trim(), "a certificate of the machine's bundle is unreadable and left out");
        }
        Ok(())
    }
}

fn certificates(bundle: &str) -> BTreeSet<String> {
    let blocks = bundle.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    blocks.map(|(body, _)| body.split_whitespace().collect()).collect()
}

/// PEM lines hold 64 characters.
fn wrapped(body: &str) -> String {
    let mut text = String::with_capacity(body.len() + body.len() / 64);
    for (index, letter) in body.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(body: &str) -> String {
        format!("# a comment\n{BEGIN}\n{body}\n{END}\n")
    }

    #[test]
    fn only_what_the_public_bundle_lacks_is_added() {
        let machine = pem("AA\nBB") + &pem("CC") + &pem("DD");
        let trust = Trust::beyond(&machine, &pem("CC"));
        assert_eq!(trust.certificates.iter().collect::<Vec<_>>(), ["AABB", "DD"]);
        assert!(Trust::beyond(&machine, &machine).is_empty());
        assert!(Trust::beyond("", "").is_empty());
        assert!(Trust::beyond("-----BEGIN CERTIFICATE-----\ncut short", "").is_empty());
    }

    #[test]
    fn the_key_names_the_set_whatever_its_order_and_line_breaks() {
        let one = Trust::beyond(&(pem("AABB") + &pem("CC")), "");
        let same = Trust::beyond(&(pem("CC") + &pem("AA\r\nBB")), "");
        assert_eq!(one.key(), same.key());
        assert_ne!(one.key(), Trust::beyond(&pem("CC"), "").key());
        assert_eq!(one.key().len(), 64);
    }
}
