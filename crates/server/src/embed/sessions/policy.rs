//! A wish for a policy: what is named changes, the rest stays as it is.

use crate::request::Fields;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use vitrine_model::Error;
use vitrine_model::embed::{Capability, Policy};

/// URL patterns of a list.
const PATTERNS_MAX: usize = 100;
/// Longest pattern.
const PATTERN_BYTES_MAX: usize = 512;
/// The name under which the capability tree may stand.
const TREE: &str = "apiCapabilities";

/// A wish for a policy, validated.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PolicyWish {
    capabilities: BTreeMap<Capability, bool>,
    allow_urls: Option<Vec<String>>,
    deny_urls: Option<Vec<String>>,
    downloads: Option<bool>,
    uploads: Option<bool>,
    clipboard: Option<bool>,
}

/// What a session's page and its embedder may do; the rest is allowed. The groups of capabilities (`tabs`, `page`, `act`,
/// `events`, `policy`, `modals`, `augment`, `capture`, `select`) stand beside these fields or in `apiCapabilities`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(
    as = EmbedPolicyWish,
    example = json!({"act": {"evaluate": false}, "urls": {"deny": ["*.example.net"]}, "downloads": false})
)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBody {
    /// `{group: {name: true or false}}`.
    #[schema(nullable = false, value_type = Object)]
    pub api_capabilities: Option<BTreeMap<String, BTreeMap<String, bool>>>,
    #[schema(nullable = false)]
    pub urls: Option<Urls>,
    #[schema(nullable = false)]
    pub downloads: Option<bool>,
    #[schema(nullable = false)]
    pub uploads: Option<bool>,
    #[schema(nullable = false)]
    pub clipboard: Option<bool>,
    /// The groups: `{name: true or false}`.
    #[serde(flatten)]
    #[schema(additional_properties)]
    pub groups: BTreeMap<String, BTreeMap<String, bool>>,
}

/// Which URLs can be opened: `host`, `*.host`, or with a scheme, a path and `*` in it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EmbedPolicyUrls)]
pub struct Urls {
    /// When there are any, nothing else can be opened.
    #[schema(nullable = false, max_items = 100)]
    pub allow: Option<Vec<String>>,
    /// These cannot be opened, whatever `allow` says.
    #[schema(nullable = false, max_items = 100)]
    pub deny: Option<Vec<String>>,
}

impl PolicyWish {
    /// Reads the object. What nobody knows is refused: a mistyped name would leave something open.
    pub fn read(fields: &Fields) -> Result<Self, Error> {
        let mut wish = Self {
            downloads: fields.flag("downloads")?,
            uploads: fields.flag("uploads")?,
            clipboard: fields.flag("clipboard")?,
            ..Self::default()
        };
        if let Some(urls) = fields.object("urls")? {
            for name in urls.names() {
                match name {
                    "allow" => wish.allow_urls = Some(patterns(&urls, name)?),
                    "deny" => wish.deny_urls = Some(patterns(&urls, name)?),
                    _ => return Err(urls.wrong(name, "no such field; expected allow or deny")),
                }
            }
        }
        let own = ["downloads", "uploads", "clipboard", "urls", TREE];
        wish.read_tree(fields, fields.names().filter(|name| !own.contains(name)))?;
        if let Some(tree) = fields.object(TREE)? {
            wish.read_tree(&tree, tree.names())?;
        }
        Ok(wish)
    }

    fn read_tree<'a>(&mut self, fields: &Fields, groups: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        for group in groups {
            let of_group = |known: &&Capability| known.as_str().split('.').next() == Some(group);
            if !Capability::ALL.iter().any(|known| of_group(&known)) {
                let groups: BTreeSet<_> =
                    Capability::ALL.iter().filter_map(|known| known.as_str().split('.').next()).collect();
                let groups = groups.into_iter().collect::<Vec<_>>().join(", ");
                return Err(fields.wrong(group, format!("no such group; expected one of {groups}")));
            }
            let Some(names) = fields.object(group)? else { continue };
            for name in names.names() {
                let known =
                    || Capability::ALL.iter().filter(of_group).map(|known| known.name()).collect::<Vec<_>>().join(", ");
                let capability = Capability::parse(&format!("{group}.{name}"));
                let capability = capability
                    .ok_or_else(|| names.wrong(name, format!("no such capability; expected one of {}", known())))?;
                if let Some(allowed) = names.flag(name)? {
                    self.capabilities.insert(capability, allowed);
                }
            }
        }
        Ok(())
    }

    /// Writes what is named into a policy.
    pub fn apply(&self, policy: &mut Policy) {
        for (capability, allowed) in &self.capabilities {
            match allowed {
                true => drop(policy.denied.remove(capability)),
                false => drop(policy.denied.insert(*capability)),
            }
        }
        if let Some(patterns) = &self.allow_urls {
            policy.allow_urls.clone_from(patterns);
        }
        if let Some(patterns) = &self.deny_urls {
            policy.deny_urls.clone_from(patterns);
        }
        policy.downloads = self.downloads.unwrap_or(policy.downloads);
        policy.uploads = self.uploads.unwrap_or(policy.uploads);
        policy.clipboard = self.clipboard.unwrap_or(policy.clipboard);
    }
}

fn patterns(fields: &Fields, field: &str) -> Result<Vec<String>, Error> {
    let expected = || {
        format!(
            "expected a list of at most {PATTERNS_MAX} patterns of 1 to {PATTERN_BYTES_MAX} visible ASCII characters"
        )
    };
    let list = fields.value(field).and_then(|value| value.as_array()).filter(|list| list.len() <= PATTERNS_MAX);
    let fits =
        |text: &&str| (1..=PATTERN_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let texts = list.and_then(|list| {
        list.iter().map(|text| text.as_str().filter(fits).map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    texts.ok_or_else(|| fields.wrong(field, expected()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(body: Value) -> Result<PolicyWish, Error> {
        PolicyWish::read(&Fields::of(body.as_object().unwrap()))
    }

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let mut policy = Policy::open(1);
        let wish = json!({
            "act": {"evaluate": false}, "apiCapabilities": {"capture": {"frame": false}},
            "urls": {"deny": ["*.example.net"]}, "downloads": false,
        });
        read(wish).unwrap().apply(&mut policy);
        assert_eq!(policy.denied, [Capability::ActEvaluate, Capability::CaptureFrame].into());
        assert_eq!((policy.deny_urls.len(), policy.downloads, policy.uploads), (1, false, true));
        read(json!({"act": {"evaluate": true}, "uploads": false})).unwrap().apply(&mut policy);
        assert_eq!(policy.denied, [Capability::CaptureFrame].into());
        assert_eq!((policy.deny_urls.len(), policy.downloads, policy.uploads), (1, false, false));
    }

    #[test]
    fn what_nobody_knows_is_named() {
        for (body, field) in [
            (json!({"act": {"fly": true}}), "act.fly"),
            (json!({"capture": {"stream": true}}), "capture.stream"),
            (json!({"acts": {}}), "acts"),
            (json!({"act": true}), "act"),
            (json!({"act": {"click": 1}}), "act.click"),
            (json!({"apiCapabilities": {"downloads": true}}), "apiCapabilities.downloads"),
            (json!({"downloads": "no"}), "downloads"),
            (json!({"urls": {"allowed": []}}), "urls.allowed"),
            (json!({"urls": {"allow": ["a b"]}}), "urls.allow"),
            (json!({"urls": {"deny": vec!["a"; 101]}}), "urls.deny"),
            (json!({"urls": []}), "urls"),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().context["field"], field, "{body}");
        }
    }
}
