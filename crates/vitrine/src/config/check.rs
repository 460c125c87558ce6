//! What has the right type and still makes no sense.

use super::{Config, Loaded, setting};
use std::path::Path;
use tracing_subscriber::EnvFilter;
use vitrine_model::embed::EmbedOrigin;
use vitrine_server::config::{Class, Provider, is_region};

/// A setting with a value that cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub key: String,
    pub message: String,
}

/// A lease must outlast this many beats, or one lost packet loses a machine.
pub const BEATS_IN_A_LEASE: u64 = 3;

/// In MiB; a headless shell with one blank page takes about a hundred.
const BROWSER_MB_MIN: u32 = 128;

const DISK_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Everything that is wrong, each as `PLACE: KEY: what is wrong`.
pub fn check(loaded: &Loaded) -> Vec<String> {
    let problems = problems(&loaded.config).into_iter();
    let mut lines: Vec<String> = problems
        .map(|problem| format!("{}: {}: {}", loaded.source(&problem.key), problem.key, problem.message))
        .collect();
    let unknown = loaded.unknown_variables.iter();
    lines.extend(unknown.map(|name| format!("{name}: no such setting; `vitrine config show` lists all of them")));
    lines
}

/// What is wrong with the values themselves.
pub fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Found::default();
    addresses(config, &mut found);
    isolation(config, &mut found);
    server(config, &mut found);
    machine(config, &mut found);
    kept(config, &mut found);
    embed(config, &mut found);
    found.0
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn demand(&mut self, holds: bool, key: &str, message: impl Into<String>) {
        debug_assert!(setting::find(key).is_some(), "{key}");
        if !holds {
            self.0.push(Problem { key: key.to_owned(), message: message.into() });
        }
    }
}

fn is_web(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
    })
}

fn addresses(config: &Config, found: &mut Found) {
    found.demand(
        config.public_url.as_deref().is_none_or(is_web),
        "public_url",
        "expected http://HOST or https://HOST, with or without a path prefix, without a query",
    );
    let database = config.store.url.as_ref().map(|url| url.reveal());
    found.demand(
        database.is_none_or(|url| url.starts_with("postgres://") || url.starts_with("postgresql://")),
        "store.url",
        "expected postgres://USER:PASSWORD@HOST/DATABASE; leave it out for SQLite in the data folder",
    );
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    found.demand(
        config.previews.domain.as_deref().is_none_or(|domain| domain.split('.').all(is_label)),
        "previews.domain",
        "expected a name in small letters, without scheme and port, for example preview.example.com",
    );
    let origins = &config.server.cors_origins;
    found.demand(origins.iter().all(|origin| is_web(origin)), "server.cors_origins", "expected https://HOST");
    let hosts = config.egress.hosts.parse::<vitrine_egress::HostExceptions>();
    found.demand(hosts.is_ok(), "egress.hosts", hosts.err().map(|error| error.to_string()).unwrap_or_default());
}

fn isolation(config: &Config, found: &mut Found) {
    let isolation = &config.isolation;
    let names: Vec<&str> = isolation.runtimes.iter().map(|runtime| runtime.0.name.as_str()).collect();
    let unique = names.iter().collect::<std::collections::BTreeSet<_>>().len() == names.len();
    found.demand(unique, "isolation.runtimes", "a name stands for two runtimes");
    let known = isolation.driver == vitrine_capsule::NATIVE || names.contains(&isolation.driver.as_str());
    found.demand(known, "isolation.driver", "expected native or a name of isolation.runtimes");
}

fn server(config: &Config, found: &mut Found) {
    let server = &config.server;
    found.demand((1..=64).contains(&server.threads), "server.threads", "expected 1 to 64");
    found.demand(server.connections_max > 0, "server.connections_max", "expected at least 1");
    found.demand(server.body_max_bytes >= 1024, "server.body_max_bytes", "expected at least 1024");
    found.demand(server.header_timeout_ms > 0, "server.header_timeout_ms", "expected at least 1");
    found.demand(server.queue_deadline_ms > 0, "server.queue_deadline_ms", "expected at least 1");
    found.demand(server.beat_ms > 0, "server.beat_ms", "expected at least 1");
    found.demand(
        server.lease_ms >= server.beat_ms.saturating_mul(BEATS_IN_A_LEASE),
        "server.lease_ms",
        format!("expected at least {BEATS_IN_A_LEASE} times server.beat_ms"),
    );
    let is_class = |name: &String| name == "*" || Class::ALL.iter().any(|class| class.name() == name);
    let unknown = config.rate_limits.0.keys().find(|name| !is_class(name));
    let classes = Class::ALL.map(Class::name).join(", ");
    let name = unknown.map(String::as_str).unwrap_or_default();
    found.demand(unknown.is_none(), "rate_limits", format!("no class `{name}`; there are *, {classes}"));
    found.demand(
        EnvFilter::builder().parse(&config.log.level).is_ok(),
        "log.level",
        "expected error, warn, info, debug or trace, or parts with levels such as info,vitrine_egress=debug",
    );
}

fn machine(config: &Config, found: &mut Found) {
    let machine = &config.machine;
    found.demand(is_region(&machine.region), "machine.region", "expected three letters of a to z, for example iad");
    found.demand(machine.slots > 0, "machine.slots", "expected at least 1");
    found.demand(machine.reserve_total_mb != Some(0), "machine.reserve_total_mb", "expected at least 1");
    found.demand(
        config.browser.base_mb >= BROWSER_MB_MIN,
        "browser.base_mb",
        format!("expected at least {BROWSER_MB_MIN}: a browser does not start in less"),
    );
    found.demand(
        config.pool.browsers <= machine.slots,
        "pool.browsers",
        "expected at most machine.slots: more than could ever be handed out",
    );
    let sandboxes = &config.sandboxes;
    found.demand(
        sandboxes.pool <= machine.slots,
        "sandboxes.pool",
        "expected at most machine.slots: more than could ever be handed out",
    );
    found.demand(
        sandboxes.disk_bytes >= DISK_BYTES_MIN,
        "sandboxes.disk_bytes",
        format!("expected at least {DISK_BYTES_MIN}: what a file system needs for itself"),
    );
    found.demand(
        config.capsule.ca_bundle.as_deref().is_none_or(Path::is_file),
        "capsule.ca_bundle",
        "no such file; expected certificates in PEM form",
    );
}

/// What sessions carry and leave behind.
fn kept(config: &Config, found: &mut Found) {
    let objects = &config.objects;
    found.demand(
        objects.s3_bucket.is_none() || objects.dir.is_none(),
        "objects.dir",
        "expected a folder or a bucket, not both",
    );
    found.demand(
        objects.s3_bucket.is_none() || (objects.s3_access_key.is_some() && objects.s3_secret_key.is_some()),
        "objects.s3_access_key",
        "expected, with objects.s3_secret_key, beside objects.s3_bucket",
    );
    found.demand(
        objects.s3_endpoint.as_deref().is_none_or(is_web),
        "objects.s3_endpoint",
        "expected https://HOST or http://HOST:PORT",
    );
    found.demand(config.profiles.bytes_max > 0, "profiles.bytes_max", "expected at least 1");
    found.demand(config.artifacts.file_bytes_max > 0, "artifacts.file_bytes_max", "expected at least 1");
    let timezone = config.stealth.timezone.as_deref();
    found.demand(
        timezone.is_none_or(|name| jiff::tz::TimeZone::get(name).is_ok()),
        "stealth.timezone",
        "expected an IANA name, for example Europe/Zurich",
    );
    let is_language = |text: &str| {
        !text.is_empty()
            && text.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    found.demand(
        is_language(&config.stealth.language),
        "stealth.language",
        "expected a language tag, for example en-US",
    );
    let solver = config.captcha.solver_url.as_deref();
    found.demand(solver.is_none_or(is_web), "captcha.solver_url", "expected https://HOST/PATH");
}

/// Embed sessions and their minutes. What is refused here, the server would refuse too, without the key's place.
fn embed(config: &Config, found: &mut Found) {
    let embed = &config.embed;
    found.demand(
        embed.currency.len() == 3 && embed.currency.bytes().all(|byte| byte.is_ascii_lowercase()),
        "embed.currency",
        "expected three small letters, for example usd",
    );
    let products: std::collections::BTreeSet<_> = embed.packs.iter().map(|pack| &pack.product).collect();
    found.demand(products.len() == embed.packs.len(), "embed.packs", "a product stands there twice");
    found.demand(
        embed.billing == Provider::Manual || embed.stripe_secret_key.is_some(),
        "embed.stripe_secret_key",
        "expected beside embed.billing = stripe",
    );
    found.demand(
        embed.billing == Provider::Manual || embed.stripe_webhook_secret.is_some(),
        "embed.stripe_webhook_secret",
        "expected beside embed.billing = stripe",
    );
    for (key, origins) in
        [("embed.frame_ancestors", &embed.frame_ancestors), ("embed.trusted_origins", &embed.trusted_origins)]
    {
        for (origin, error) in origins.iter().filter_map(|origin| Some((origin, EmbedOrigin::parse(origin).err()?))) {
            found.demand(false, key, format!("{origin:?}: {error}"));
        }
    }
    found.demand(config.demo.sessions_max > 0, "demo.sessions_max", "expected at least 1; demo.enabled switches off");
    found.demand(is_web(&embed.stripe_url), "embed.stripe_url", "expected https://HOST");
    let search = embed.search_url.replacen("{query}", "words", 1);
    let is_search = search.parse::<http::Uri>().is_ok_and(|uri| {
        search != embed.search_url && matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
    });
    found.demand(is_search, "embed.search_url", "expected an address with {query} in it");
    found.demand(
        embed.geoip_database.as_deref().is_none_or(Path::is_file),
        "embed.geoip_database",
        "no such file; expected one in MaxMind's City format",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_right_and_nonsense_is_named() {
        assert_eq!(problems(&Config::default()), []);
        let mut config = Config { public_url: Some("ws://host".to_owned()), ..Config::default() };
        config.server.lease_ms = config.server.beat_ms;
        config.machine.region = "Europe".to_owned();
        config.pool.browsers = config.machine.slots + 1;
        config.egress.hosts = "site.test".to_owned();
        config.log.level = "loud,=".to_owned();
        let keys: Vec<String> = problems(&config).into_iter().map(|problem| problem.key).collect();
        let expected =
            ["public_url", "egress.hosts", "server.lease_ms", "log.level", "machine.region", "pool.browsers"];
        assert_eq!(keys, expected);
    }
}
