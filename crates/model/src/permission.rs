//! What an API key may do.

use serde::{Deserialize, Serialize};

/// One thing that a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Permission {
    #[serde(rename = "browser_sessions:create")]
    BrowserSessionsCreate,
    #[serde(rename = "browser_sessions:read")]
    BrowserSessionsRead,
    #[serde(rename = "browser_sessions:delete")]
    BrowserSessionsDelete,
    #[serde(rename = "sandbox_sessions:create")]
    SandboxSessionsCreate,
    #[serde(rename = "sandbox_sessions:read")]
    SandboxSessionsRead,
    #[serde(rename = "sandbox_sessions:delete")]
    SandboxSessionsDelete,
    #[serde(rename = "sandbox_sessions:exec")]
    SandboxSessionsExec,
    #[serde(rename = "org:billing")]
    OrgBilling,
    #[serde(rename = "api_keys:manage")]
    ApiKeysManage,
    #[serde(rename = "webhooks:manage")]
    WebhooksManage,
}

impl Permission {
    /// All permissions, in the order in which they are shown.
    pub const ALL: [Permission; 10] = [
        Permission::BrowserSessionsCreate,
        Permission::BrowserSessionsRead,
        Permission::BrowserSessionsDelete,
        Permission::SandboxSessionsCreate,
        Permission::SandboxSessionsRead,
        Permission::SandboxSessionsDelete,
        Permission::SandboxSessionsExec,
        Permission::OrgBilling,
        Permission::ApiKeysManage,
        Permission::WebhooksManage,
    ];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::BrowserSessionsCreate => "browser_sessions:create",
            Permission::BrowserSessionsRead => "browser_sessions:read",
            Permission::BrowserSessionsDelete => "browser_sessions:delete",
            Permission::SandboxSessionsCreate => "sandbox_sessions:create",
            Permission::SandboxSessionsRead => "sandbox_sessions:read",
            Permission::SandboxSessionsDelete => "sandbox_sessions:delete",
            Permission::SandboxSessionsExec => "sandbox_sessions:exec",
            Permission::OrgBilling => "org:billing",
            Permission::ApiKeysManage => "api_keys:manage",
            Permission::WebhooksManage => "webhooks:manage",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Permission> {
        Permission::ALL.into_iter().find(|permission| permission.as_str() == word)
    }
}

/// A key's permissions; an empty list means all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permissions(pub Vec<Permission>);

impl Permissions {
    /// Whether the key may do this.
    pub fn allow(&self, permission: Permission) -> bool {
        self.0.is_empty() || self.0.contains(&permission)
    }

    /// Whether a key with these permissions may make one with `other`: nobody grants what they do not have.
    pub fn cover(&self, other: &Permissions) -> bool {
        self.0.is_empty() || (!other.0.is_empty() && other.0.iter().all(|permission| self.allow(*permission)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_listed_means_all_and_nobody_grants_more_than_they_have() {
        let all = Permissions::default();
        let read = Permissions(vec![Permission::BrowserSessionsRead]);
        assert!(all.allow(Permission::WebhooksManage) && !read.allow(Permission::WebhooksManage));
        assert!(all.cover(&read) && all.cover(&all) && read.cover(&read));
        assert!(!read.cover(&all), "an empty list is everything");
    }

    #[test]
    fn words_round_trip() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.as_str()), Some(permission));
            assert_eq!(serde_json::to_string(&permission).ok(), Some(format!("\"{}\"", permission.as_str())));
        }
    }
}
