//! What a client wishes for, read field by field, and what its plan says to it.

use super::Network;
use crate::app::App;
use crate::cloud::{check_feature, region, words};
use crate::config::ServerConfig;
use crate::request::Fields;
use crate::upstream::is_host;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use vitrine_model::artifact::is_name;
use vitrine_model::browser::DURATION_MIN_MS;
use vitrine_model::sandbox::DURATION_MAX_MS;
use vitrine_model::{
    CheckpointId, Code, Error, Feature, Kind, NetworkMode, NetworkPolicy, Plan, Runtime, SandboxSpec, Secret, Size,
};

/// Variables of an environment.
pub const ENV_NAMES_MAX: usize = 256;
/// Their names and values together: an eighth of what Linux lets a program start with.
pub const ENV_BYTES_MAX: usize = 256 * 1024;
/// Rules of a network policy, allowing and denying each.
const RULES_MAX: usize = 256;
/// Longest rule: a name of DNS with `*.` before it.
const RULE_BYTES_MAX: usize = 255;
/// Longest name of an isolation driver.
const DRIVER_BYTES_MAX: usize = 32;
/// Longest `artifactPrefix`.
const PREFIX_BYTES_MAX: usize = 128;
/// Agents of the coding agent.
const AGENTS: [&str; 2] = ["build", "plan"];
/// `browser.mode`; the last is another word for the one before.
pub const BROWSER_MODES: [&str; 4] = ["none", "local-chromium", "paired-banata-browser", "paired-browser"];
/// `storage.workspace`.
pub const STORAGES: [&str; 2] = ["ephemeral", "checkpointed"];

/// The body of `POST /v1/sandboxes`. Every field may be left out; unknown ones are ignored.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateSandbox, example = json!({"runtime": "python", "env": {"STAGE": "test"}}))]
pub struct Wish {
    #[schema(required = false, schema_with = super::runtimes, default = "bun")]
    pub runtime: Runtime,
    #[schema(required = false, schema_with = super::sizes, default = "standard")]
    pub size: Size,
    /// What every program starts with. No answer, event or log ever shows a value.
    #[schema(required = false, value_type = BTreeMap<String, String>)]
    pub env: BTreeMap<String, Secret>,
    /// False: a checkpoint is made at every pause and at the end.
    #[schema(required = false, default = true)]
    pub ephemeral: bool,
    /// The longest it may run, pauses left out. Left out: what the plan allows.
    #[schema(nullable = false, minimum = 1_000, maximum = 7_200_000)]
    pub max_duration_ms: Option<u64>,
    /// Preferred region.
    #[schema(nullable = false, pattern = "^[a-z]{3}$", example = "iad")]
    pub region: Option<String>,
    #[schema(required = false)]
    pub capabilities: WishedCapabilities,
    #[schema(required = false)]
    pub network: Network,
    /// What separates it from everything else; refused when no machine has it, never replaced. Left out: the machine's
    /// default.
    #[schema(nullable = false, example = "native")]
    pub isolation_driver: Option<String>,
    /// A checkpoint of the organization that `/workspace` begins as: a fork.
    #[schema(nullable = false, value_type = Option<String>)]
    pub from: Option<CheckpointId>,
}

/// What is wanted beside programs and files.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = CreateSandboxCapabilities)]
pub struct WishedCapabilities {
    #[schema(required = false)]
    pub opencode: WishedOpencode,
    #[schema(required = false)]
    pub browser: WishedBrowser,
    #[schema(required = false)]
    pub documents: WishedDocuments,
    #[schema(required = false)]
    pub storage: WishedStorage,
}

/// The coding agent.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = CreateSandboxOpencode)]
pub struct WishedOpencode {
    /// `true` is 501 today.
    #[schema(required = false, default = false)]
    pub enabled: bool,
}

/// A browser beside the programs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CreateSandboxBrowser)]
pub struct WishedBrowser {
    #[schema(required = false, schema_with = browser_modes, default = "none")]
    pub mode: &'static str,
}

impl Default for WishedBrowser {
    fn default() -> Self {
        Self { mode: BROWSER_MODES[0] }
    }
}

/// Conversion of documents.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateSandboxDocuments)]
pub struct WishedDocuments {
    /// LibreOffice.
    #[schema(required = false, default = false)]
    pub libreoffice_headless: bool,
}

/// What is kept of the workspace.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateSandboxStorage)]
pub struct WishedStorage {
    #[schema(required = false, schema_with = super::storages, default = "ephemeral")]
    pub workspace: &'static str,
    /// Before the keys of its artifacts: names with slashes between them.
    #[schema(nullable = false, max_length = 128, example = "reports/")]
    pub artifact_prefix: Option<String>,
}

impl Default for WishedStorage {
    fn default() -> Self {
        Self { workspace: STORAGES[0], artifact_prefix: None }
    }
}

fn browser_modes() -> RefOr<Schema> {
    words("All but `none` are 501 today", BROWSER_MODES)
}

impl Wish {
    /// Reads a body; whatever is wrong is named.
    pub fn read(body: &Map<String, Value>) -> Result<Wish, Error> {
        let fields = Fields::of(body);
        let network = match fields.object("network")? {
            Some(network) => read_network(&network)?,
            None => NetworkPolicy::default(),
        };
        Ok(Wish {
            runtime: fields.word("runtime", &Runtime::ALL, Runtime::as_str)?.unwrap_or_default(),
            size: fields.word("size", &Size::ALL, Size::as_str)?.unwrap_or_default(),
            env: read_env(&fields)?.into_iter().map(|(name, value)| (name.to_owned(), Secret::new(value))).collect(),
            ephemeral: fields.flag("ephemeral")?.unwrap_or(true),
            max_duration_ms: fields.integer("maxDurationMs", DURATION_MIN_MS..=DURATION_MAX_MS)?,
            region: region(&fields)?,
            network: network.into(),
            isolation_driver: read_driver(&fields)?,
            from: read_from(&fields)?,
            capabilities: read_capabilities(&fields)?,
        })
    }

    /// What the plan says: a feature it lacks, a figure it does not reach.
    pub fn check_plan(&self, app: &App, plan: Plan) -> Result<(), Error> {
        let feature = match self.capabilities.browser.mode {
            "none" => None,
            "local-chromium" => Some(Feature::LocalChromium),
            _ => Some(Feature::PairedBrowser),
        };
        check_feature(app, plan, feature)?;
        let longest = app.config.plans.get(plan).duration_max_ms(Kind::Sandbox);
        match self.max_duration_ms {
            Some(wished) if wished > longest => Err(Error::plan_limit("maxDurationMs", longest, plan)),
            _ => Ok(()),
        }
    }

    /// What is wanted and not built yet is refused, never left out silently.
    pub fn check_built(&self) -> Result<(), Error> {
        let WishedCapabilities { opencode, browser, .. } = &self.capabilities;
        let not_built =
            |field: &str| Error::new(Code::NotImplemented, format!("{field}: is not built yet")).with("field", field);
        match (opencode.enabled, browser.mode) {
            (true, _) => Err(not_built("capabilities.opencode.enabled")),
            (false, "none") => Ok(()),
            (false, _) => Err(not_built("capabilities.browser.mode")),
        }
    }

    /// The session's specification, every default filled in.
    pub fn spec(self, config: &ServerConfig, plan: Plan) -> SandboxSpec {
        let longest = config.plans.get(plan).duration_max_ms(Kind::Sandbox);
        let Network { mode, allow, deny } = self.network;
        SandboxSpec {
            runtime: self.runtime,
            size: self.size,
            env: self.env,
            checkpointed: self.capabilities.storage.workspace == STORAGES[1] || !self.ephemeral,
            ephemeral: self.ephemeral,
            max_duration_ms: self.max_duration_ms.unwrap_or(longest).min(DURATION_MAX_MS),
            region: self.region,
            network: NetworkPolicy { mode, allow, deny },
            isolation_driver: self.isolation_driver,
            documents: self.capabilities.documents.libreoffice_headless,
            artifact_prefix: self.capabilities.storage.artifact_prefix,
            from: self.from,
        }
    }
}

fn read_capabilities(fields: &Fields) -> Result<WishedCapabilities, Error> {
    let mut wished = WishedCapabilities::default();
    let Some(capabilities) = fields.object("capabilities")? else { return Ok(wished) };
    if let Some(opencode) = capabilities.object("opencode")? {
        opencode.word("defaultAgent", &AGENTS, |agent| agent)?;
        opencode.flag("allowPromptApi")?;
        wished.opencode.enabled = opencode.flag("enabled")?.unwrap_or(false);
    }
    if let Some(browser) = capabilities.object("browser")? {
        for flag in ["recording", "persistentProfile", "streamPreview", "humanInLoop"] {
            browser.flag(flag)?;
        }
        wished.browser.mode = browser.word("mode", &BROWSER_MODES, |mode| mode)?.unwrap_or(BROWSER_MODES[0]);
    }
    if let Some(documents) = capabilities.object("documents")? {
        wished.documents.libreoffice_headless = documents.flag("libreofficeHeadless")?.unwrap_or(false);
    }
    if let Some(storage) = capabilities.object("storage")? {
        wished.storage.workspace = storage.word("workspace", &STORAGES, |word| word)?.unwrap_or(STORAGES[0]);
        wished.storage.artifact_prefix = read_prefix(&storage)?;
    }
    Ok(wished)
}

fn read_prefix(storage: &Fields) -> Result<Option<String>, Error> {
    let Some(prefix) = storage.text("artifactPrefix", 1..=PREFIX_BYTES_MAX)? else { return Ok(None) };
    let names = prefix.strip_suffix('/').unwrap_or(prefix);
    match names.split('/').all(is_name) {
        true => Ok(Some(format!("{names}/"))),
        false => Err(storage.wrong("artifactPrefix", "expected names with slashes between them, for example reports/")),
    }
}

/// `env`: names and values.
pub fn read_env<'a>(fields: &Fields<'a>) -> Result<BTreeMap<&'a str, &'a str>, Error> {
    let env = fields.texts_by_name("env", ENV_NAMES_MAX, ENV_BYTES_MAX)?.unwrap_or_default();
    match env.keys().any(|name| name.is_empty() || name.contains(['=', '\0'])) {
        true => Err(fields.wrong("env", "expected names that are not empty and hold no =")),
        false => Ok(env),
    }
}

/// A network policy, from an object with its fields.
pub fn read_network(fields: &Fields) -> Result<NetworkPolicy, Error> {
    let rules = |field: &str| -> Result<Vec<String>, Error> {
        let rules = fields.arguments(field, RULES_MAX, RULE_BYTES_MAX)?.unwrap_or_default();
        match rules.iter().find(|rule| !is_rule(rule)) {
            Some(_) => {
                let expected = "expected names (example.com, *.example.com), addresses or ranges (203.0.113.0/24)";
                Err(fields.wrong(field, expected))
            }
            None => Ok(rules.into_iter().map(str::to_owned).collect()),
        }
    };
    let mode = fields.word("mode", &NetworkMode::ALL, NetworkMode::as_str)?.unwrap_or_default();
    Ok(NetworkPolicy { mode, allow: rules("allow")?, deny: rules("deny")? })
}

fn is_rule(rule: &str) -> bool {
    let range = |(address, bits): (&str, &str)| {
        let longest = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.bytes().all(|byte| byte.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
    };
    match rule.split_once('/') {
        Some(parts) => range(parts),
        None => is_host(rule.strip_prefix("*.").unwrap_or(rule)),
    }
}

fn read_driver(fields: &Fields) -> Result<Option<String>, Error> {
    let driver = fields.text("isolationDriver", 1..=DRIVER_BYTES_MAX)?;
    let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match driver {
        Some(name) if !plain(&name) => {
            Err(fields.wrong("isolationDriver", "expected a driver's name, for example native"))
        }
        driver => Ok(driver.map(str::to_owned)),
    }
}

fn read_from(fields: &Fields) -> Result<Option<CheckpointId>, Error> {
    match fields.value("from") {
        Some(_) => fields.id("from", "checkpoint").map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Result<Wish, Error> {
        Wish::read(body.as_object().unwrap())
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for (field, body) in [
            ("runtime", json!({"runtime": "ruby"})),
            ("size", json!({"size": "large"})),
            ("env", json!({"env": []})),
            ("env", json!({"env": {"A=B": ""}})),
            ("env", json!({"env": {"": ""}})),
            ("env.A", json!({"env": {"A": 1}})),
            ("env.A", json!({"env": {"A": "a\u{0}b"}})),
            ("env", json!({"env": {"A": "x".repeat(ENV_BYTES_MAX)}})),
            ("ephemeral", json!({"ephemeral": "no"})),
            ("maxDurationMs", json!({"maxDurationMs": 7_200_001})),
            ("maxDurationMs", json!({"maxDurationMs": 999})),
            ("region", json!({"region": "IAD"})),
            ("network.mode", json!({"network": {"mode": "closed"}})),
            ("network.allow", json!({"network": {"allow": ["a b"]}})),
            ("network.deny", json!({"network": {"deny": ["10.0.0.0/33"]}})),
            ("network.deny", json!({"network": {"deny": vec!["a.test"; RULES_MAX + 1]}})),
            ("isolationDriver", json!({"isolationDriver": "../runc"})),
            ("capabilities", json!({"capabilities": true})),
            ("capabilities.browser.mode", json!({"capabilities": {"browser": {"mode": "firefox"}}})),
            ("capabilities.opencode.defaultAgent", json!({"capabilities": {"opencode": {"defaultAgent": "x"}}})),
            ("capabilities.storage.workspace", json!({"capabilities": {"storage": {"workspace": "kept"}}})),
            ("capabilities.storage.artifactPrefix", json!({"capabilities": {"storage": {"artifactPrefix": "../a"}}})),
        ] {
            let error = read(body.clone()).unwrap_err();
            assert_eq!(error.context["field"], field, "{body}: {error:?}");
        }
        assert_eq!(read(json!({"from": "x"})).unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn what_is_left_out_has_its_default_and_no_secret_is_shown() {
        let config = ServerConfig::default();
        let spec = read(json!({"env": {"TOKEN": "geheim"}})).unwrap().spec(&config, Plan::Scale);
        assert_eq!((spec.runtime, spec.ephemeral, spec.checkpointed), (Runtime::Bun, true, false));
        assert_eq!(spec.max_duration_ms, DURATION_MAX_MS);
        assert!(!format!("{spec:?}").contains("geheim"));
        let kept = read(json!({"ephemeral": false})).unwrap().spec(&config, Plan::Scale);
        assert!(kept.checkpointed);
        let storage = json!({"capabilities": {"storage": {"workspace": "checkpointed", "artifactPrefix": "a/b"}}});
        let stored = read(storage).unwrap().spec(&config, Plan::Scale);
        assert_eq!((stored.checkpointed, stored.artifact_prefix.as_deref()), (true, Some("a/b/")));
    }
}
