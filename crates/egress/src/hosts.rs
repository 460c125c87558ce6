//! The operator's exceptions: names that go to one given address, whatever the guard says of it.
//!
//! Written as `site.test=127.0.0.1,other.test=10.1.2.3`. Names are exact and without regard to case.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;

use crate::EgressError;
use crate::names::canonical;

/// Names that connect to a given address, any port, past the guard. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostExceptions {
    addresses: HashMap<String, IpAddr>,
}

impl HostExceptions {
    /// The address that the operator gave this name. The name is lower case and without a final dot.
    pub fn address(&self, name: &str) -> Option<IpAddr> {
        self.addresses.get(name).copied()
    }
}

impl FromStr for HostExceptions {
    type Err = EgressError;

    fn from_str(text: &str) -> Result<HostExceptions, EgressError> {
        let mut addresses = HashMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let wrong = |reason| EgressError::HostException { entry: entry.to_owned(), reason };
            let (name, address) = entry.split_once('=').ok_or_else(|| wrong("it has no `=`"))?;
            let name = canonical(name.trim()).ok_or_else(|| wrong("the part before `=` is no host name"))?;
            let address = address.trim().parse().map_err(|_| wrong("the part after `=` is no IP address"))?;
            if addresses.insert(name, address).is_some() {
                return Err(wrong("the name is already there"));
            }
        }
        Ok(HostExceptions { addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_addresses() {
        let hosts: HostExceptions = " Site.TEST=127.0.0.1, other.test. = ::1 ,printer=10.0.0.9,".parse().unwrap();
        assert_eq!(hosts.address("site.test"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(hosts.address("other.test"), Some("::1".parse().unwrap()));
        assert_eq!(hosts.address("printer"), Some("10.0.0.9".parse().unwrap()));
        assert_eq!(hosts.address("sub.site.test"), None);
        assert_eq!("".parse::<HostExceptions>().unwrap(), HostExceptions::default());
    }

    #[test]
    fn errors_name_the_entry() {
        for entry in
            ["site.test", "=127.0.0.1", "site.test=", "site.test=localhost", "10.0.0.1=127.0.0.1", "a b=1.1.1.1"]
        {
            let error = format!("ok.test=1.1.1.1,{entry}").parse::<HostExceptions>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{entry}`")), "{error}");
        }
        assert!("a.test=1.1.1.1,A.test=1.1.1.2".parse::<HostExceptions>().is_err());
    }
}
