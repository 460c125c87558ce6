//! Every setting by name: its key, its variable, its flag, and what it does.
//!
//! The flags of `serve`, the variables that are read, `config show` and the reference page all come from this table; a
//! test holds it against the fields of [`Config`](super::Config).

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use figment::value::Value;
use std::borrow::Cow;
use std::sync::LazyLock;
use vitrine_model::Plan;

/// The form in which a value is written as a flag or in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Switch,
    /// Comma-separated.
    List,
}

/// How much a person who asks for help wants to see of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// With `-h`.
    Always,
    /// With `--help`.
    Long,
    /// In the reference only.
    Reference,
}

/// One setting.
#[derive(Debug, Clone)]
pub struct Setting {
    /// `section.name`, as in the file.
    pub key: Cow<'static, str>,
    pub kind: Kind,
    pub shown: Shown,
    /// What it does and, in an example, how it is written.
    pub help: Cow<'static, str>,
    /// Its environment variable.
    pub variable: String,
    /// Its flag, without the dashes before it.
    pub flag: String,
    /// What it stands under in the help.
    heading: String,
}

use Kind::{List, Number, Switch, Text};
use Shown::{Always, Long, Reference};

const SETTINGS: &[(&str, Kind, Shown, &str)] = &[
    ("listen", Text, Always, "Address and port to listen on, for example 0.0.0.0:7070"),
    ("data_dir", Text, Always, "Folder of the database, keys and sessions"),
    ("image_dir", Text, Always, "Folder of the images that capsules run, shared by all data folders of the machine"),
    ("public_url", Text, Always, "What clients reach the server by, for example https://browsers.example.com/prefix"),
    ("rate_limits", Text, Long, "Requests a minute / burst by class, for example browsers.create=6000/2000,*=600/100"),
    ("store.url", Text, Always, "PostgreSQL instead of SQLite, for example postgres://user:password@host/database"),
    ("server.threads", Number, Long, "Worker threads"),
    (
        "server.trust_proxy",
        Switch,
        Long,
        "Believe X-Forwarded-Proto and X-Forwarded-Host; only behind a proxy of yours",
    ),
    ("server.cors_origins", List, Long, "Origins whose pages may call the API, for example https://app.example.com"),
    ("server.connections_max", Number, Long, "Client connections at once"),
    ("server.body_max_bytes", Number, Long, "Largest request body of the API"),
    ("server.header_timeout_ms", Number, Long, "Time a client has to send a request's head"),
    ("server.queue_deadline_ms", Number, Long, "Time a session may wait for room before it fails with queue_timeout"),
    ("server.lease_ms", Number, Reference, "Silence after which a machine counts as lost"),
    ("server.beat_ms", Number, Reference, "Time between two signs of life of a machine"),
    ("shutdown.grace_ms", Number, Long, "Time that sessions have to finish after SIGTERM before they are ended"),
    ("machine.region", Text, Long, "Code of the machine's region, three letters, for example iad"),
    ("machine.region_global", Text, Long, "Global code of the machine's region, for example na-east"),
    (
        "machine.reserve_total_mb",
        Number,
        Long,
        "Memory that sessions may be promised; by default most of the machine's",
    ),
    ("machine.slots", Number, Long, "Sessions at once on this machine"),
    ("browser.base_mb", Number, Long, "Memory limit of a browser before the tier of its weight is added"),
    ("browser.reserve_light_mb", Number, Long, "Memory that placement counts for a browser of weight light"),
    ("browser.reserve_medium_mb", Number, Long, "Memory that placement counts for a browser of weight medium"),
    ("browser.reserve_heavy_mb", Number, Long, "Memory that placement counts for a browser of weight heavy"),
    ("browser.idle_timeout_ms", Number, Long, "Default of idleTimeoutMs: time after the last client left; 0 is never"),
    (
        "pool.browsers",
        Number,
        Always,
        "Browsers kept started for the next sessions; 0 starts each when it is asked for",
    ),
    ("pool.memory_min_mb", Number, Long, "Available memory below which nothing is started ahead of need"),
    (
        "sandboxes.pool",
        Number,
        Always,
        "Sandboxes kept started for the next sessions; 0 starts each when it is asked for",
    ),
    ("sandboxes.reserve_mb", Number, Long, "Memory that placement counts for a sandbox"),
    ("sandboxes.disk_bytes", Number, Long, "All that a sandbox may write"),
    (
        "sandboxes.checkpoints_bytes_max",
        Number,
        Long,
        "Disk that a machine keeps unpacked checkpoints on, for the next sandbox that begins with one",
    ),
    (
        "sandboxes.pause_disk_after_ms",
        Number,
        Long,
        "Time that a paused sandbox keeps its processes before it moves to disk",
    ),
    ("sandboxes.kept_paused_ms", Number, Long, "Time after which a paused sandbox is ended; 0 is never"),
    (
        "previews.domain",
        Text,
        Long,
        "Domain whose subdomains lead here, for ports of sandboxes, for example preview.example.com",
    ),
    (
        "egress.hosts",
        Text,
        Always,
        "Names that go to an address of your choice, for example site.test=127.0.0.1,b.test=10.1.2.3",
    ),
    ("egress.profiles.dedicated-dc", List, Long, "Proxies of egress profile dedicated-dc, each as ORGANIZATION=PROXY"),
    ("egress.profiles.rotating-residential", List, Long, "Proxies of egress profile rotating-residential"),
    ("egress.profiles.static-residential", List, Long, "Proxies of egress profile static-residential"),
    (
        "capsule.ca_bundle",
        Text,
        Long,
        "Certificates that capsules trust; default SSL_CERT_FILE or the machine's bundle",
    ),
    ("isolation.driver", Text, Long, "Driver of sandboxes that name none: native, or one of isolation.runtimes"),
    (
        "isolation.runtimes",
        List,
        Long,
        "OCI runtimes as further drivers, each NAME=KIND:PATH, for example gvisor=runsc:/usr/bin/runsc; kinds are runc, crun, runsc",
    ),
    ("image.name", Text, Long, "Image that sessions run"),
    ("image.build", Switch, Long, "Build the image at start when it is missing"),
    (
        "image.build_documents",
        Switch,
        Long,
        "Build the image `documents`, with LibreOffice, at start when it is missing",
    ),
    ("image.apt_sources", List, Long, "Lines of a sources.list for building images; default the machine's own"),
    ("objects.dir", Text, Long, "Folder of recordings, downloads, profiles and the like; default DATA_DIR/objects"),
    ("objects.s3_bucket", Text, Long, "Bucket of S3, or of what speaks like it, instead of a folder"),
    ("objects.s3_endpoint", Text, Long, "Address of the bucket's service, for example https://s3.example.com"),
    ("objects.s3_region", Text, Long, "Region of the bucket; default us-east-1"),
    ("objects.s3_access_key", Text, Long, "Access key id of the bucket"),
    ("objects.s3_secret_key", Text, Long, "Secret access key of the bucket"),
    (
        "objects.s3_path_style",
        Switch,
        Long,
        "Name the bucket in the path and not in the host, as many services want it",
    ),
    (
        "artifacts.kept_ms",
        Number,
        Long,
        "Time that recordings, HAR files, screenshots and downloads are kept; 0 is for ever",
    ),
    ("artifacts.file_bytes_max", Number, Long, "Largest file that a page may give or a client may put"),
    ("artifacts.session_bytes_max", Number, Long, "Largest sum of a session's downloads"),
    ("profiles.bytes_max", Number, Long, "Largest profile that is saved, packed"),
    ("stealth.language", Text, Long, "Language of browsers with stealth, for example en-US"),
    (
        "stealth.timezone",
        Text,
        Long,
        "Time zone of browsers with stealth, for example Europe/Zurich; default the machine's",
    ),
    (
        "captcha.solver_url",
        Text,
        Long,
        "Endpoint that is asked to solve CAPTCHAs, for example https://solver.example.com/v1",
    ),
    ("captcha.solver_secret", Text, Long, "Bearer token for that endpoint"),
    (
        "webhooks.allow_private",
        Switch,
        Long,
        "Let webhooks go to private addresses and over plain http; only where every key is trusted",
    ),
    (
        "embed.default_region",
        Text,
        Long,
        "Region of embed sessions whose clientIP says nothing, for example na-east; default wherever there is room",
    ),
    (
        "embed.regions",
        List,
        Long,
        "Where regions are that are not built in, each NAME=LATITUDE/LONGITUDE, for example lab=47.4/8.5",
    ),
    (
        "embed.geoip_database",
        Text,
        Long,
        "File in MaxMind's City format that says where a clientIP is, for example /var/lib/GeoLite2-City.mmdb",
    ),
    ("embed.currency", Text, Long, "Currency of the prices, three letters, for example usd"),
    (
        "embed.packs",
        List,
        Long,
        "What is sold, each PRODUCT=MINUTES/CENTS, for example minutes_300=300/2000; subscription is paid each month",
    ),
    (
        "embed.billing",
        Text,
        Long,
        "manual: the operator confirms orders by `vitrine minutes confirm`; stripe: Stripe takes the money",
    ),
    ("embed.stripe_secret_key", Text, Long, "Secret key of Stripe's API"),
    ("embed.stripe_webhook_secret", Text, Long, "Secret that signs Stripe's calls to PUBLIC_URL/api/stripe/webhook"),
    ("embed.stripe_url", Text, Reference, "Where Stripe's API is"),
    (
        "embed.frame_ancestors",
        List,
        Long,
        "Origins that may frame every embed session, for example https://app.example.com,https://*.example.org",
    ),
    (
        "embed.trusted_origins",
        List,
        Long,
        "Origins of other sites whose pages may ask for demo sessions, for example https://www.example.com",
    ),
    ("embed.search_url", Text, Long, "Where the page of an embed session searches: an address with {query} in it"),
    (
        "demo.enabled",
        Switch,
        Long,
        "Demo sessions for whoever visits /demo; by default where only this machine reaches the server",
    ),
    ("demo.sessions_max", Number, Long, "Demo sessions at once"),
    ("demo.address_sessions_max", Number, Long, "Demo sessions that one address gets in an hour"),
    ("log.format", Text, Always, "text or json"),
    ("log.level", Text, Always, "error, warn, info, debug, trace, or per part, for example info,vitrine_egress=debug"),
];

const PLAN_SETTINGS: &[(&str, Kind, &str)] = &[
    ("concurrent_browsers", Number, "Browser sessions at once on plan"),
    ("browser_duration_max_ms", Number, "Longest browser session on plan"),
    ("browser_hours_per_month", Number, "Browser hours a month on plan"),
    ("concurrent_sandboxes", Number, "Sandboxes at once on plan"),
    ("sandbox_duration_max_ms", Number, "Longest sandbox session on plan"),
    ("sandbox_hours_per_month", Number, "Sandbox hours a month on plan"),
    ("features", List, "Features, for example stealth,recording, on plan"),
];

/// All settings, in the order in which they are shown.
pub fn all() -> &'static [Setting] {
    static ALL: LazyLock<Vec<Setting>> = LazyLock::new(|| {
        let plain =
            SETTINGS.iter().map(|(key, kind, shown, help)| Setting::new((*key).into(), *kind, *shown, (*help).into()));
        let plans = Plan::ALL.iter().flat_map(|plan| {
            let plan = plan.as_str();
            PLAN_SETTINGS.iter().map(move |(name, kind, help)| {
                let (key, help) = (format!("plans.{plan}.{name}"), format!("{help} {plan}"));
                Setting::new(key.into(), *kind, Reference, help.into())
            })
        });
        plain.chain(plans).collect()
    });
    &ALL
}

/// The setting with this key.
pub fn find(key: &str) -> Option<&'static Setting> {
    all().iter().find(|setting| setting.key == key)
}

impl Setting {
    fn new(key: Cow<'static, str>, kind: Kind, shown: Shown, help: Cow<'static, str>) -> Self {
        let variable = format!("VITRINE_{}", key.replace(['.', '-'], "_").to_uppercase());
        let flag = key.replace(['.', '_'], "-");
        let heading = match key.split_once('.') {
            Some((section, _)) => format!("Settings: {section}"),
            None => "Settings".to_owned(),
        };
        Self { key, kind, shown, help, variable, flag, heading }
    }

    /// What a value looks like.
    pub fn expected(&self) -> &'static str {
        match self.kind {
            Kind::Text => "text",
            Kind::Number => "a whole number, 0 or above",
            Kind::Switch => "true or false",
            Kind::List => "a comma-separated list",
        }
    }

    /// Reads the text of a flag or a variable.
    pub fn read(&self, text: &str) -> Result<Value, String> {
        let wrong = || format!("expected {}, found `{text}`", self.expected());
        match self.kind {
            Kind::Text => Ok(Value::from(text)),
            Kind::Number => text.trim().parse::<u64>().map(Value::from).map_err(|_| wrong()),
            Kind::Switch => text.trim().parse::<bool>().map(Value::from).map_err(|_| wrong()),
            Kind::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::from(items.map(Value::from).collect::<Vec<_>>()))
            }
        }
    }

    /// What the value that is shown must not contain: credentials.
    pub fn is_secret(&self) -> bool {
        let secrets = [
            "store.url",
            "objects.s3_secret_key",
            "captcha.solver_secret",
            "embed.stripe_secret_key",
            "embed.stripe_webhook_secret",
        ];
        secrets.contains(&self.key.as_ref())
    }
}

/// The settings that were given as flags, by key.
#[derive(Debug, Clone, Default)]
pub struct Flags(pub Vec<(&'static Setting, String)>);

impl Flags {
    fn argument(setting: &'static Setting) -> Arg {
        Arg::new(setting.key.as_ref())
            .long(setting.flag.as_str())
            .value_name(match setting.kind {
                Kind::Text => "TEXT",
                Kind::Number => "NUMBER",
                Kind::Switch => "true|false",
                Kind::List => "LIST",
            })
            .help(format!("{} [{}]", setting.help, setting.variable))
            .help_heading(setting.heading.as_str())
            .hide_short_help(setting.shown != Always)
            .hide(setting.shown == Reference)
            // A list of hosts or a number below zero is for our own reading to refuse, not for clap's.
            .allow_hyphen_values(true)
    }
}

/// `data_dir` is an argument of every command, since clients find the API key there; it is not declared a second time.
pub const GLOBAL: &str = "data_dir";

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(all().iter().filter(|setting| setting.key != GLOBAL).map(Flags::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = all().iter().filter(|setting| setting.key != GLOBAL);
        let given = given.filter_map(|setting| {
            let value = matches.get_one::<String>(setting.key.as_ref())?;
            Some((setting, value.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::collections::BTreeSet;

    fn leaves(prefix: &str, value: &Value, into: &mut BTreeSet<String>) {
        match value.as_dict().filter(|table| !table.is_empty()) {
            Some(table) => table.iter().for_each(|(name, value)| {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                leaves(&key, value, into);
            }),
            None => drop(into.insert(prefix.to_owned())),
        }
    }

    /// Where the reference page is.
    const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate/configuration.md");
    /// Set to write the page anew.
    const WRITE: &str = "WRITE_DOCS";

    #[test]
    fn the_reference_page_is_fresh() {
        let page = reference();
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(REFERENCE, &page).unwrap();
        }
        let written = std::fs::read_to_string(REFERENCE).unwrap_or_default();
        assert!(written == page, "run {WRITE}=1 cargo test -p vitrine reference_page");
    }

    #[test]
    fn the_example_of_the_reference_page_is_right() {
        let page = include_str!("reference.md");
        let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), example).unwrap();
        let sources = crate::config::load::Sources { file: Some(file.path().to_owned()), ..Default::default() };
        let loaded = crate::config::load::load(&sources).unwrap();
        assert_eq!(crate::config::check::check(&loaded), Vec::<String>::new());
        assert_eq!(loaded.config.egress.hosts, "intranet.example.com=10.0.0.5");
        assert_eq!(loaded.config.plans.free.concurrent_browsers, 2);
    }

    fn reference() -> String {
        let defaults = figment::Figment::from(figment::providers::Serialized::defaults(Config::default()));
        let mut page = include_str!("reference.md").to_owned();
        let mut section = "";
        for setting in all() {
            if setting.heading != section {
                section = &setting.heading;
                let title = section.strip_prefix("Settings: ").map_or("General".to_owned(), |name| format!("`{name}`"));
                page += &format!("\n## {title}\n\n| key | variable | default | |\n|---|---|---|---|\n");
            }
            let depends = ["data_dir", "image_dir", "server.threads"].contains(&setting.key.as_ref());
            let default = match defaults.find_value(&setting.key).ok().map(|value| crate::config::load::text(&value)) {
                _ if depends => "of the machine".to_owned(),
                Some(text) if !text.is_empty() => format!("`{text}`"),
                _ => String::new(),
            };
            page += &format!("| `{}` | `{}` | {default} | {} |\n", setting.key, setting.variable, setting.help);
        }
        page
    }

    #[test]
    fn the_table_names_every_field_and_nothing_else() {
        let mut fields = BTreeSet::new();
        leaves("", &Value::serialize(Config::default()).unwrap(), &mut fields);
        let named: BTreeSet<String> = all().iter().map(|setting| setting.key.to_string()).collect();
        assert_eq!(named, fields);
        let variables: BTreeSet<String> = all().iter().map(|setting| setting.variable.clone()).collect();
        assert_eq!(variables.len(), all().len(), "no two settings share a variable");
    }
}
