//! Puts the layers on one another: defaults, file, environment, flags; and says where each value came from.

use super::Config;
use super::setting::{self, Flags, Setting};
use anyhow::{Context as _, anyhow, bail};
use figment::error::Kind as Wrong;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Looked for in this order when `--config` does not name a file.
const FILES: [&str; 2] = ["vitrine.toml", "/etc/vitrine/vitrine.toml"];
/// Variables of ours that are no settings: what clients use, and the file itself.
const OTHER_VARIABLES: [&str; 4] = ["VITRINE_URL", "VITRINE_API_KEY", "VITRINE_OPERATOR_KEY", "VITRINE_CONFIG"];
const DEFAULTS: &str = "default";

/// What the outside gives: separate from the process's own environment so that tests can give their own.
#[derive(Debug, Default)]
pub struct Sources {
    /// `--config` or `VITRINE_CONFIG`.
    pub file: Option<PathBuf>,
    pub environment: BTreeMap<String, OsString>,
    pub flags: Flags,
}

impl Sources {
    /// The process's own environment, with the arguments that were given.
    pub fn of_process(file: Option<PathBuf>, flags: Flags) -> Self {
        let ours = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        let environment = std::env::vars_os().filter_map(ours).filter(|(name, _)| name.starts_with("VITRINE_"));
        Self { file, environment: environment.collect(), flags }
    }
}

/// A configuration and where it came from.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// Variables that look like settings and are none.
    pub unknown_variables: Vec<String>,
    figment: Figment,
}

impl Loaded {
    /// Where the value of a key came from, for a person to read.
    pub fn source(&self, key: &str) -> String {
        self.figment.find_metadata(key).map_or_else(|| DEFAULTS.to_owned(), place)
    }

    /// The value of a key as text; credentials are not in it.
    pub fn shown(&self, setting: &Setting) -> String {
        let effective = Figment::from(Serialized::defaults(&self.config));
        match effective.find_value(&setting.key) {
            Ok(Value::Empty(..)) | Err(_) => String::new(),
            Ok(_) if setting.is_secret() => "***".to_owned(),
            Ok(value) => text(&value),
        }
    }
}

/// Loads and type-checks; whether the values make sense is for [`super::check`].
pub fn load(sources: &Sources) -> anyhow::Result<Loaded> {
    let file = find_file(sources.file.as_deref())?;
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(path) = &file {
        // Checked here, since the layer itself takes a file that cannot be read for an empty one.
        let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| anyhow!("{}: not TOML: {error}", path.display()))?;
        refuse_unknown(path, &table)?;
        figment = figment.merge(Toml::file_exact(path));
    }
    for setting in setting::all() {
        let name = setting.variable.clone();
        if let Some(value) = sources.environment.get(&name) {
            let value = value.to_str().ok_or_else(|| anyhow!("{name}: not UTF-8"))?;
            figment = figment.merge(Given::read(setting, value, name)?);
        }
    }
    for (setting, value) in &sources.flags.0 {
        figment = figment.merge(Given::read(setting, value, format!("--{}", setting.flag))?);
    }
    let config = figment.extract::<Config>().map_err(|errors| {
        let lines: Vec<String> = errors.into_iter().map(|error| explain(&error)).collect();
        anyhow!(lines.join("\n"))
    })?;
    let known = |name: &String| {
        OTHER_VARIABLES.contains(&name.as_str()) || setting::all().iter().any(|setting| setting.variable == *name)
    };
    let unknown_variables = sources.environment.keys().filter(|name| !known(name)).cloned().collect();
    Ok(Loaded { config, file, unknown_variables, figment })
}

fn find_file(named: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    if let Some(path) = named {
        if !path.is_file() {
            bail!("{}: no such file (named by --config or VITRINE_CONFIG)", path.display());
        }
        return Ok(Some(path.to_owned()));
    }
    Ok(FILES.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// A key that nobody reads is a mistake that nobody notices, so all of them are named at once, with the nearest right one.
fn refuse_unknown(path: &Path, table: &toml::Table) -> anyhow::Result<()> {
    fn walk(prefix: &str, table: &toml::Table, unknown: &mut Vec<String>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if setting::find(&key).is_some() {
                continue;
            }
            let is_section = setting::all().iter().any(|setting| setting.key.starts_with(&format!("{key}.")));
            match value.as_table() {
                Some(inner) if is_section => walk(&key, inner, unknown),
                _ => unknown.push(key),
            }
        }
    }
    let mut unknown = Vec::new();
    walk("", table, &mut unknown);
    if unknown.is_empty() {
        return Ok(());
    }
    let lines = unknown.iter().map(|key| format!("{}: {key}: no such setting{}", path.display(), suggestion(key)));
    bail!(lines.collect::<Vec<_>>().join("\n"))
}

fn suggestion(key: &str) -> String {
    /// More letters wrong than these, and the guess would only mislead.
    const DISTANCE_MAX: usize = 3;
    let candidates = setting::all().iter().map(|setting| (distance(key, &setting.key), &setting.key));
    match candidates.min_by_key(|(distance, _)| *distance) {
        Some((distance, near)) if distance <= DISTANCE_MAX => format!("; did you mean {near}?"),
        _ => "; `vitrine config show` lists all of them".to_owned(),
    }
}

/// Letters to change, add or remove to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// One value from a flag or a variable, as a layer of its own, so that errors and sources name it.
struct Given {
    place: String,
    layer: Dict,
}

impl Given {
    fn read(setting: &Setting, text: &str, place: String) -> anyhow::Result<Self> {
        let value = setting.read(text).map_err(|wrong| anyhow!("{place}: {}: {wrong}", setting.key))?;
        let nested = setting.key.rsplit('.').fold(value, |value, name| Value::from(Dict::from([(name.into(), value)])));
        let layer = nested.into_dict().unwrap_or_default();
        Ok(Self { place, layer })
    }
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.layer.clone())]))
    }
}

fn place(metadata: &Metadata) -> String {
    match metadata.source.as_ref().and_then(figment::Source::file_path) {
        Some(path) => path.display().to_string(),
        None if metadata.name.starts_with("VITRINE_") || metadata.name.starts_with("--") => metadata.name.to_string(),
        None => DEFAULTS.to_owned(),
    }
}

/// `PLACE: KEY: what is wrong`. A value that might be a secret is not repeated.
fn explain(error: &Error) -> String {
    let key = error.path.join(".");
    let setting = setting::find(&key);
    let place = error.metadata.as_ref().map_or_else(|| DEFAULTS.to_owned(), place);
    let wrong = match &error.kind {
        Wrong::InvalidType(found, expected) | Wrong::InvalidValue(found, expected) => {
            format!("expected {expected}, found {found}")
        }
        Wrong::UnknownVariant(found, known) => format!("`{found}` is none of {}", known.join(", ")),
        Wrong::Message(text) if text.starts_with("data did not match") => {
            let help = setting.map_or("see `vitrine config show`", |setting| setting.help.as_ref());
            format!("not of the right form: {help}")
        }
        Wrong::Message(text) => text.clone(),
        other => other.to_string(),
    };
    format!("{place}: {key}: {wrong}")
}

/// A value in the form in which it is written as a flag.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Array(_, items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Bool(_, on) => on.to_string(),
        other => other.to_u128().map(|number| number.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn sources(file: &tempfile::NamedTempFile, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
        let flags = flags.iter().map(|(key, value)| (setting::find(key).unwrap(), (*value).to_owned()));
        Sources {
            file: Some(file.path().to_owned()),
            environment: environment.collect(),
            flags: Flags(flags.collect()),
        }
    }

    #[test]
    fn flags_win_over_variables_over_the_file_over_defaults() {
        let file = file("listen = \"127.0.0.1:1\"\n[pool]\nbrowsers = 1\n[shutdown]\ngrace_ms = 1\n");
        let environment = [("VITRINE_POOL_BROWSERS", "2"), ("VITRINE_LISTEN", "127.0.0.1:2")];
        let loaded = load(&sources(&file, &environment, &[("listen", "127.0.0.1:3")])).unwrap();
        assert_eq!(loaded.config.listen.port(), 3);
        assert_eq!(loaded.config.pool.browsers, 2);
        assert_eq!(loaded.config.shutdown.grace_ms, 1);
        assert_eq!(loaded.config.server.beat_ms, 5_000);
        assert_eq!(loaded.source("listen"), "--listen");
        assert_eq!(loaded.source("pool.browsers"), "VITRINE_POOL_BROWSERS");
        assert_eq!(loaded.source("shutdown.grace_ms"), file.path().display().to_string());
        assert_eq!(loaded.source("server.beat_ms"), "default");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_what_would_be_right() {
        let wrong = |text: &str, environment: &[(&str, &str)]| {
            load(&sources(&file(text), environment, &[])).unwrap_err().to_string()
        };
        let error = wrong("[pool]\nbrowser = 3\n", &[]);
        assert!(error.contains("pool.browser: no such setting; did you mean pool.browsers?"), "{error}");
        let error = wrong("[pool]\nbrowsers = \"many\"\n", &[]);
        assert!(error.contains("pool.browsers: expected u32, found string \"many\""), "{error}");
        let error = wrong("", &[("VITRINE_POOL_BROWSERS", "many")]);
        assert_eq!(error, "VITRINE_POOL_BROWSERS: pool.browsers: expected a whole number, 0 or above, found `many`");
        let error = wrong("", &[("VITRINE_RATE_LIMITS", "browsers.create=fast")]);
        assert!(error.starts_with("VITRINE_RATE_LIMITS: rate_limits: `fast` is not PER_MINUTE/BURST"), "{error}");
        let error = wrong("", &[("VITRINE_LISTEN", "nowhere")]);
        assert!(error.starts_with("VITRINE_LISTEN: listen: "), "{error}");
        let error = wrong("listen = \n", &[]);
        assert!(error.contains("not TOML"), "{error}");
    }

    #[test]
    fn every_setting_can_be_given_in_the_environment() {
        let defaults = load(&sources(&file(""), &[], &[])).unwrap();
        let shown = |setting: &Setting| defaults.shown(setting);
        let given: Vec<(String, String)> = setting::all()
            .iter()
            .map(|setting| (setting.variable.clone(), shown(setting)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let borrowed: Vec<(&str, &str)> = given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let loaded = load(&sources(&file(""), &borrowed, &[])).unwrap();
        for setting in setting::all() {
            assert_eq!(loaded.shown(setting), shown(setting), "{}", setting.key);
        }
        assert!(loaded.unknown_variables.is_empty());
    }

    #[test]
    fn secrets_are_not_shown() {
        let environment = [
            ("VITRINE_STORE_URL", "postgres://u:hunter2@h/d"),
            ("VITRINE_EGRESS_PROFILES_STATIC_RESIDENTIAL", "http://u:hunter2@proxy.test:80"),
            ("VITRINE_PORT", "tcp://10.0.0.1:80"),
        ];
        let loaded = load(&sources(&file(""), &environment, &[])).unwrap();
        let all: String = setting::all().iter().map(|setting| loaded.shown(setting)).collect();
        assert!(!all.contains("hunter2") && all.contains("proxy.test"));
        assert!(!format!("{:?}", loaded.config).contains("hunter2"));
        assert_eq!(loaded.unknown_variables, ["VITRINE_PORT"], "reported, not refused: Kubernetes sets such names");
    }
}
