//! Which targets a webhook may have. Names are judged again at each attempt, by the addresses that they have then, and
//! only an address that was judged is connected to: a name that changes its mind in between gains nothing.

use crate::upstream::is_inside;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use vitrine_model::address::refusal;

/// Longest address of a receiver.
pub const URL_BYTES_MAX: usize = 2_048;

/// Why a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongTarget {
    #[error("expected https://HOST and at most {URL_BYTES_MAX} bytes, without credentials and fragment")]
    Shape,
    #[error("expected https; plain http is for servers whose operator allows private targets")]
    Plain,
    #[error("is a private address; expected one on the public network")]
    Private,
}

/// Reads a target and judges it as far as it can be without asking anybody.
pub fn check_target(text: &str, allow_private: bool) -> Result<Url, WrongTarget> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= URL_BYTES_MAX).ok_or(WrongTarget::Shape)?;
    // Written as numbers in whatever way, an address is in its plain form after parsing.
    let host = url.host_str().map(|host| host.trim_matches(['[', ']'])).filter(|host| !host.is_empty());
    let (Some(host), "", None, None) = (host, url.username(), url.password(), url.fragment()) else {
        return Err(WrongTarget::Shape);
    };
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        "http" => return Err(WrongTarget::Plain),
        _ => return Err(WrongTarget::Shape),
    }
    if !allow_private && is_inside(host) {
        return Err(WrongTarget::Private);
    }
    Ok(url)
}

/// Resolves names as the system does and leaves out every address that is refused.
#[derive(Debug, Clone, Copy)]
pub struct GuardedResolver {
    pub allow_private: bool,
}

/// A name that leads nowhere we go.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address on the public network")]
struct NothingPublic;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            // The port is the URL's, whatever stands here.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = |address: &SocketAddr| allow_private || refusal(address.ip()).is_none();
            let addresses: Vec<_> = found.filter(allowed).collect();
            if addresses.is_empty() {
                return Err(NothingPublic.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_public_and_https_unless_the_operator_says_otherwise() {
        for wrong in
            ["", "x", "ftp://a.test", "https://", "https://u@a.test", "https://u:p@a.test", "https://a.test/#x"]
        {
            assert_eq!(check_target(wrong, true), Err(WrongTarget::Shape), "{wrong}");
        }
        assert_eq!(check_target(&format!("https://a.test/{}", "x".repeat(2_048)), true), Err(WrongTarget::Shape));
        assert_eq!(check_target("http://a.test/hook", false), Err(WrongTarget::Plain));
        for inside in [
            "127.0.0.1",
            "localhost",
            "a.localhost.",
            "LOCALHOST",
            "10.1.2.3",
            "0x7f.1",
            "2130706433",
            "127.1",
            "0",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[fe80::1]",
            "169.254.169.254",
            "168.63.129.16",
            "100.64.1.1",
            "192.168.0.1:8443",
        ] {
            let url = format!("https://{inside}/hook");
            assert_eq!(check_target(&url, false), Err(WrongTarget::Private), "{inside}");
            assert!(check_target(&url, true).is_ok(), "{inside}");
        }
        for good in ["https://hooks.example.org/a?b=c", "https://1.1.1.1", "https://192.0.2.1:8443/", "https://é.test"]
        {
            assert!(check_target(good, false).is_ok(), "{good}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_leads_nowhere() {
        let resolve = async |allow_private| {
            let resolver = GuardedResolver { allow_private };
            resolver.resolve("localhost".parse().unwrap()).await.map(Iterator::count)
        };
        assert!(resolve(true).await.is_ok_and(|count| count > 0));
        assert_eq!(resolve(false).await.unwrap_err().to_string(), NothingPublic.to_string());
    }
}
