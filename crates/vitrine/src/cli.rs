//! What can be typed: commands, flags and their help texts.

mod minutes;
mod sandbox;

pub use minutes::Minutes;
pub use sandbox::{Code, CreateSandbox, Exec, How, Language, Place, Sandbox};

use crate::config::setting::Flags;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;
use vitrine_server::upstream::{NotAProxy, ProxyUrl};

const AFTER_HELP: &str = "\
Examples:
  vitrine serve --data-dir ./data --listen 127.0.0.1:7070
  vitrine doctor
  vitrine browser create --wait
  vitrine browser cdp ID
  vitrine browser watch ID --control
  vitrine artifacts list ID
  vitrine sandbox create --runtime python --wait
  vitrine sandbox exec ID 'echo hello'
  vitrine sandbox shell ID
  vitrine keys create --name ci --permission browser_sessions:create
  vitrine minutes grant 600

Keys: commands that talk to a server take --api-key or VITRINE_API_KEY. When neither is
given and the server is on this machine, the key in DATA_DIR/api-key is used, if you may
read it.

Settings: every flag of `vitrine serve` is also a variable (--pool-browsers is
VITRINE_POOL_BROWSERS) and a key of vitrine.toml (pool.browsers). Flags win over variables,
variables over the file. The file is ./vitrine.toml, else /etc/vitrine/vitrine.toml, or the
one that --config names. `vitrine config show` says what holds and why.

Exit codes:
  0  done
  1  failed
  2  the command line or the configuration is wrong
  3  no such thing
  4  refused: key, permission or plan
  5  the server cannot be reached
  6  not now: rate limit, no capacity, or the session's state; try again later
`vitrine sandbox exec`, `code` and `shell` exit as the program in the sandbox did.";

/// Browsers and sandboxes that programs drive and people can look into.
#[derive(Debug, Parser)]
#[command(name = "vitrine", version, after_help = AFTER_HELP, max_term_width = 120, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print JSON instead of tables and text
    #[arg(long, global = true)]
    pub json: bool,
    /// Configuration file [default: ./vitrine.toml, else /etc/vitrine/vitrine.toml]
    #[arg(long, global = true, env = "VITRINE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the server's database, keys and sessions [VITRINE_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// The server to talk to [default: http://127.0.0.1:7070, or where `listen` says]
    #[arg(long, global = true, env = "VITRINE_URL", value_name = "URL", value_parser = base_url)]
    pub url: Option<String>,
    /// API key [default: the file DATA_DIR/api-key of a server on this machine]
    #[arg(long, global = true, env = "VITRINE_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// The operator's key [default: the file DATA_DIR/operator-key of a server on this machine]
    #[arg(long, global = true, env = "VITRINE_OPERATOR_KEY", value_name = "KEY", hide_env_values = true)]
    pub operator_key: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    ///
    /// The first start makes an organization on plan `scale` and writes its API key to DATA_DIR/api-key and the operator's
    /// key to DATA_DIR/operator-key. When the image that sessions run is missing, it is built in the background.
    /// SIGTERM lets sessions finish for `shutdown.grace_ms`, then ends them; a second signal ends them at once.
    Serve(Settings),
    /// Say what this machine lacks and how to get it
    ///
    /// Exits with 1 when something is missing without which sessions cannot run. With --attack, programs try to break out of
    /// capsules made for it, by every driver that is configured; 1 means that one got through.
    Doctor(Doctor),
    /// Build, list and remove the images that sessions run
    #[command(subcommand)]
    Image(Image),
    /// Create, list, rotate and revoke API keys
    #[command(subcommand)]
    Keys(Keys),
    /// Create, watch and end browser sessions
    #[command(subcommand)]
    Browser(Browser),
    /// Create sandboxes, run programs in them, copy files, pause, checkpoint and end them
    #[command(subcommand)]
    Sandbox(Sandbox),
    /// List and fetch what sessions left behind: recordings, HAR files, screenshots, downloads
    #[command(subcommand)]
    Artifacts(Artifacts),
    /// List and delete saved browser profiles
    #[command(subcommand)]
    Profiles(Profiles),
    /// Send what happens to sessions to an address of yours, signed
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// Grant minutes of embed sessions, confirm orders of them; with the operator's key
    #[command(subcommand)]
    Minutes(Minutes),
    /// Look at the configuration
    #[command(subcommand)]
    Config(Configuration),
}

/// What `doctor` looks at.
#[derive(Debug, Clone, Args)]
pub struct Doctor {
    #[command(flatten)]
    pub attack: Attack,
    #[command(flatten)]
    pub settings: Settings,
}

/// The escape suite.
#[derive(Debug, Clone, Args)]
pub struct Attack {
    /// Try to break out of capsules instead of looking at the machine
    #[arg(long)]
    pub attack: bool,
    /// Only by this driver; may be given several times
    #[arg(long, value_name = "NAME", requires = "attack")]
    pub driver: Vec<String>,
}

/// Settings given as flags.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    #[command(flatten)]
    pub flags: Flags,
}

fn base_url(text: &str) -> Result<String, &'static str> {
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.map(|_| text.to_owned()).ok_or("expected http://HOST:PORT or https://HOST")
}

#[derive(Debug, Subcommand)]
pub enum Image {
    /// Build an image; does nothing when it is there already
    Build {
        /// Which one
        #[arg(default_value = "standard")]
        name: String,
        /// A definition of your own, in the form of images/standard.toml
        #[arg(long, value_name = "FILE", conflicts_with = "name")]
        file: Option<PathBuf>,
        #[command(flatten)]
        settings: Settings,
    },
    /// List built images
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        settings: Settings,
    },
    /// Remove a built image that nothing runs on
    Rm {
        /// Its id, as listed
        id: String,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Create a key; its secret is shown once
    Create {
        /// What it is for
        #[arg(long)]
        name: String,
        /// What it may do, for example browser_sessions:create; repeat for several [default: everything]
        #[arg(long = "permission", value_name = "PERMISSION")]
        permissions: Vec<String>,
        /// When it stops working, for example 30d or 12h from now [default: never]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<Duration>,
        /// A key that begins with bbx_, as clients of the embed API expect it; either kind opens both APIs
        #[arg(long)]
        embed: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// List keys; secrets are never shown again
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Give a key a new secret; the old one works on for the grace time
    Rotate {
        /// The key's id, as listed
        id: String,
        /// How long the old secret works on, for example 1h [default: not at all]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        grace: Option<Duration>,
    },
    /// Make a key stop working at once
    Revoke {
        /// The key's id, as listed
        id: String,
        #[command(flatten)]
        whose: Whose,
    },
}

/// Whose keys.
#[derive(Debug, Clone, Args)]
pub struct Whose {
    /// Act for this organization, with the operator's key [default: the API key's own organization]
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Browser {
    /// Create a browser session
    Create(Box<Create>),
    /// List the sessions that are not over
    #[command(visible_alias = "ls")]
    List {
        /// At most so many, newest first
        #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u8).range(1..=100))]
        limit: u8,
    },
    /// Show a session
    Show {
        /// The session's id
        id: String,
    },
    /// End a session
    #[command(visible_alias = "rm")]
    End {
        /// The session's id
        id: String,
    },
    /// Print the URL that Playwright and Puppeteer connect to
    ///
    /// Waits until the session is ready. Treat the URL like a password: whoever has it drives the browser.
    Cdp {
        /// The session's id
        id: String,
    },
    /// Open a page in which a person sees the session live
    ///
    /// Waits until the session is ready. On a desktop the page is opened, elsewhere its URL is printed. Treat the URL like a
    /// password: whoever has it sees the session, or acts in it with --control.
    Watch {
        /// The session's id
        id: String,
        /// Let whoever opens the page act in the session, too
        #[arg(long)]
        control: bool,
        /// How long the URL works, for example 10m; at most 24h
        #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1h")]
        expires: Duration,
        /// Only print the URL
        #[arg(long)]
        print: bool,
    },
    /// Fetch the recording (MP4) of a session that was created with --recording
    ///
    /// Waits until the session is over: the recording is finished then.
    Record {
        /// The session's id
        id: String,
        /// Where to write it; `-` is standard output [default: ID.mp4]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// End the session first
        #[arg(long)]
        end: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Artifacts {
    /// List what a session left behind
    #[command(visible_alias = "ls")]
    List {
        /// The session's id
        id: String,
    },
    /// Fetch one of them
    Get {
        /// The session's id
        id: String,
        /// Its key, as listed
        key: String,
        /// Where to write it; `-` is standard output [default: the last part of the key]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print a URL that needs no key and expires
    Url {
        /// The session's id
        id: String,
        /// Its key, as listed
        key: String,
        /// How long it works, for example 10m; at most 24h
        #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1h")]
        expires: Duration,
    },
}

#[derive(Debug, Subcommand)]
pub enum Profiles {
    /// List saved profiles
    #[command(visible_alias = "ls")]
    List,
    /// Delete a saved profile: cookies, storage and logins in it are gone
    #[command(visible_alias = "rm")]
    Delete {
        /// Its profileKey
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// Send events to an address; the secret that signs them is shown once
    Create {
        /// Where to, for example https://hooks.example.org/vitrine
        #[arg(value_name = "URL")]
        target: String,
        /// What of, for example session.ended or session.*; repeat for several [default: everything]
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<String>,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
    },
    /// List webhooks
    #[command(visible_alias = "ls")]
    List,
    /// Show a webhook
    Show {
        /// Its id, as listed
        id: String,
    },
    /// Change a webhook; what is not given stays
    Update {
        /// Its id, as listed
        id: String,
        /// Another address
        #[arg(long, value_name = "URL")]
        target: Option<String>,
        /// Other events in place of the old ones; repeat for several
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<String>,
        /// Another description
        #[arg(long)]
        description: Option<String>,
        /// Send again, and forgive what failed
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Send nothing; what waits is abandoned
        #[arg(long)]
        disable: bool,
        /// A new secret; the old one signs for 24 hours more
        #[arg(long)]
        rotate_secret: bool,
    },
    /// Delete a webhook with its deliveries
    #[command(visible_alias = "rm")]
    Delete {
        /// Its id, as listed
        id: String,
    },
    /// List what was sent, and how it went
    Deliveries {
        /// The webhook's id, as listed
        id: String,
        /// At most so many, newest first
        #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u8).range(1..=100))]
        limit: u8,
    },
    /// Send a webhook.test event now; exits with 1 when the receiver does not take it
    Test {
        /// The webhook's id, as listed
        id: String,
    },
}

/// The fields of a new browser session.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vitrine browser create --wait
  vitrine browser create --weight heavy --max-duration 10m --idle-timeout 2m
  vitrine browser create --proxy socks5://user:password@proxy.example.com:1080")]
pub struct Create {
    /// Wait until it is ready, and print it then
    #[arg(long)]
    pub wait: bool,
    /// Memory tier [default: light]
    #[arg(long)]
    pub weight: Option<Weight>,
    /// Whether the machine may hold other organizations' sessions [default: shared]
    #[arg(long)]
    pub isolation: Option<Isolation>,
    /// Which way out to the network
    #[arg(long)]
    pub egress_profile: Option<EgressProfile>,
    /// A proxy of your own: http, https or socks5://[USER:PASSWORD@]HOST:PORT
    #[arg(long, value_name = "URL", value_parser = proxy)]
    pub proxy: Option<ProxyUrl>,
    /// End it after this time, for example 10m; a bare number is milliseconds [default: the plan's longest]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub max_duration: Option<Duration>,
    /// End it so long after the last client left, for example 2m; 0 is never [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub idle_timeout: Option<Duration>,
    /// Preferred region, three letters
    #[arg(long)]
    pub region: Option<String>,
    /// Name of a saved profile: cookies, storage and logins
    #[arg(long)]
    pub profile_key: Option<String>,
    /// A full Chromium whose traits agree with one another
    #[arg(long)]
    pub stealth: bool,
    /// Keep a recording (MP4)
    #[arg(long)]
    pub recording: bool,
    /// Notice captchas
    #[arg(long)]
    pub captcha: bool,
    /// Keep a HAR of the network traffic
    #[arg(long)]
    pub har: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Weight {
    Light,
    Medium,
    Heavy,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Isolation {
    Shared,
    Dedicated,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum EgressProfile {
    SharedDc,
    DedicatedDc,
    RotatingResidential,
    StaticResidential,
    ByoProxy,
}

#[derive(Debug, Subcommand)]
pub enum Configuration {
    /// Check every setting and say what is wrong with it
    Check(Settings),
    /// Print every setting, its value and where that came from
    Show(Settings),
}

fn proxy(text: &str) -> Result<ProxyUrl, NotAProxy> {
    ProxyUrl::try_from(text.to_owned())
}

/// `500ms`, `30s`, `5m`, `2h`, `30d`, or milliseconds without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("expected a number with ms, s, m, h or d, for example 5m".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number with a unit, for example 5m".to_owned())?;
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_take_units() {
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("250"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "m", "5 m", "5y", "-1s", "99999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_are_flags_of_serve() {
        let cli = Cli::try_parse_from(["vitrine", "serve", "--data-dir", "d", "--pool-browsers", "0"]).unwrap();
        assert_eq!(cli.global.data_dir.as_deref(), Some("d"));
        let Command::Serve(settings) = cli.command else { panic!("not serve") };
        assert_eq!(settings.flags.0.len(), 1);
        assert_eq!(settings.flags.0[0].0.key, "pool.browsers");
    }
}
