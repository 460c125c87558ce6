//! What a client wishes for, read field by field, and what its plan says to it.

use crate::app::App;
use crate::cloud::{check_feature, region, words};
use crate::config::ServerConfig;
use crate::request::Fields;
use crate::upstream::{is_host, is_inside};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use vitrine_model::browser::{DURATION_MIN_MS, HAR_BODY_BYTES_DEFAULT, IDLE_TIMEOUT_MAX_MS};
use vitrine_model::{
    BrowserSpec, EgressProfile, Error, Feature, HarSpec, Isolation, Kind, Plan, Proxy, ProxyProtocol, Secret, Weight,
};

/// Longest user name or password of a proxy: what SOCKS5 can carry.
const CREDENTIAL_BYTES_MAX: usize = 255;
/// Longest name of a host.
const HOST_BYTES_MAX: usize = 253;
/// Longest `profileKey`.
const PROFILE_KEY_BYTES_MAX: usize = 128;

/// Largest `har.bodyBytesMax`: bodies are held in memory until they are written.
const HAR_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What becomes of secrets in a HAR file.
const HAR_SECRETS: [&str; 2] = ["redact", "keep"];

/// The body of `POST /v1/browsers`. Every field may be left out; unknown ones are ignored.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreateBrowser, example = json!({"weight": "light", "maxDurationMs": 300_000}))]
pub struct Wish {
    #[schema(required = false, schema_with = super::weights)]
    pub weight: Weight,
    #[schema(required = false, schema_with = super::isolations)]
    pub isolation: Isolation,
    #[schema(required = false, schema_with = super::egress_profiles)]
    pub egress_profile: EgressProfile,
    /// Anti-detection, from plan builder.
    #[schema(required = false, default = false)]
    pub stealth: bool,
    /// An MP4 of the session, from plan pro.
    #[schema(required = false, default = false)]
    pub recording: bool,
    /// Solving of CAPTCHAs.
    #[schema(required = false, default = false)]
    pub captcha: bool,
    /// A HAR 1.2 file of the session: `true`, or what it is to hold.
    #[schema(required = false, schema_with = har)]
    pub har: Option<HarSpec>,
    /// The longest it may run. Left out: what the plan allows.
    #[schema(nullable = false, minimum = 1_000)]
    pub max_duration_ms: Option<u64>,
    /// It ends so long after its last client left; 0 = never. Left out: 60,000.
    #[schema(nullable = false, maximum = 86_400_000)]
    pub idle_timeout_ms: Option<u64>,
    #[schema(nullable = false)]
    pub proxy: Option<WishedProxy>,
    /// A saved browser profile.
    #[schema(nullable = false, max_length = 128)]
    pub profile_key: Option<String>,
    /// Preferred region.
    #[schema(nullable = false, pattern = "^[a-z]{3}$", example = "iad")]
    pub region: Option<String>,
}

/// Your own proxy server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WishedProxy {
    #[schema(schema_with = protocols)]
    pub protocol: ProxyProtocol,
    /// A public name or address.
    #[schema(max_length = 253, example = "proxy.example.org")]
    pub host: String,
    #[schema(minimum = 1, example = 1080)]
    pub port: u16,
    #[schema(required = false, value_type = String, max_length = 255)]
    pub username: Option<Secret>,
    #[schema(required = false, value_type = String, max_length = 255)]
    pub password: Option<Secret>,
}

fn protocols() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    words("How the proxy is spoken to", ProxyProtocol::ALL.map(ProxyProtocol::as_str))
}

impl Wish {
    /// Reads a body; whatever is wrong is named.
    pub fn read(body: &Map<String, Value>, config: &ServerConfig) -> Result<Wish, Error> {
        let fields = Fields::of(body);
        let way_out = WayOut::read(&fields, config)?.unwrap_or_default();
        Ok(Wish {
            weight: fields.word("weight", &Weight::ALL, Weight::as_str)?.unwrap_or_default(),
            isolation: fields.word("isolation", &Isolation::ALL, Isolation::as_str)?.unwrap_or_default(),
            egress_profile: way_out.profile,
            stealth: fields.flag("stealth")?.unwrap_or_default(),
            recording: fields.flag("recording")?.unwrap_or_default(),
            captcha: fields.flag("captcha")?.unwrap_or_default(),
            har: read_har(&fields)?,
            max_duration_ms: fields.integer("maxDurationMs", DURATION_MIN_MS..=u64::MAX)?,
            idle_timeout_ms: fields.integer("idleTimeoutMs", 0..=IDLE_TIMEOUT_MAX_MS)?,
            proxy: way_out.proxy,
            profile_key: fields.text("profileKey", 1..=PROFILE_KEY_BYTES_MAX)?.map(str::to_owned),
            region: region(&fields)?,
        })
    }

    /// What the plan says: a feature it lacks, a figure it does not reach.
    pub fn check_plan(&self, app: &App, plan: Plan) -> Result<(), Error> {
        let limits = app.config.plans.get(plan);
        let asked = [
            self.stealth.then_some(Feature::Stealth),
            (self.weight == Weight::Heavy).then_some(Feature::Heavy),
            self.recording.then_some(Feature::Recording),
            (self.isolation == Isolation::Dedicated).then_some(Feature::DedicatedIsolation),
            self.egress_profile.feature(),
            self.captcha.then_some(Feature::Captcha),
        ];
        asked.into_iter().try_for_each(|feature| check_feature(app, plan, feature))?;
        let longest = limits.duration_max_ms(Kind::Browser);
        match self.max_duration_ms {
            Some(wished) if wished > longest => Err(Error::plan_limit("maxDurationMs", longest, plan)),
            _ => Ok(()),
        }
    }

    /// The session's specification, every default filled in.
    pub fn spec(self, config: &ServerConfig, plan: Plan) -> BrowserSpec {
        BrowserSpec {
            weight: self.weight,
            isolation: self.isolation,
            egress_profile: self.egress_profile,
            proxy: self.proxy.map(WishedProxy::into),
            max_duration_ms: self
                .max_duration_ms
                .unwrap_or_else(|| config.plans.get(plan).duration_max_ms(Kind::Browser)),
            idle_timeout_ms: self.idle_timeout_ms.unwrap_or(config.idle_timeout_default_ms),
            region: self.region,
            stealth: self.stealth,
            recording: self.recording,
            captcha: self.captcha,
            har: self.har,
            profile_key: self.profile_key,
            embed: None,
        }
    }
}

/// `har`: true, false, or an object that says what the file is to hold.
fn read_har(fields: &Fields) -> Result<Option<HarSpec>, Error> {
    let plain = HarSpec { secrets_kept: false, body_bytes_max: HAR_BODY_BYTES_DEFAULT };
    if !fields.is_object("har") {
        let asked = fields.flag("har").map_err(|_| fields.wrong("har", "expected true, false or an object"))?;
        return Ok(asked.unwrap_or_default().then_some(plain));
    }
    let Some(fields) = fields.object("har")? else { return Ok(None) };
    let secrets = fields.word("secrets", &HAR_SECRETS, |word| word)?;
    let body_bytes_max = fields.integer("bodyBytesMax", 0..=HAR_BODY_BYTES_MAX)?;
    Ok(Some(HarSpec {
        secrets_kept: secrets == Some(HAR_SECRETS[1]),
        body_bytes_max: body_bytes_max.unwrap_or(HAR_BODY_BYTES_DEFAULT),
    }))
}

fn har() -> RefOr<Schema> {
    let secrets = words("What becomes of cookies and authenticating headers; `redact` when left out", HAR_SECRETS);
    let bytes = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(HAR_BODY_BYTES_MAX))
        .description(Some("Longest body that is kept; 1,048,576 when left out, 0 = none"));
    let object = ObjectBuilder::new().property("secrets", secrets).property("bodyBytesMax", bytes.build());
    let flag = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(false.into()));
    let either = OneOfBuilder::new()
        .item(flag.build())
        .item(object.build())
        .description(Some("A HAR 1.2 file of the session: `true`, or what it is to hold"));
    RefOr::T(Schema::OneOf(either.build()))
}

/// Which way out a body names.
#[derive(Debug, Clone)]
pub struct WayOut {
    pub profile: EgressProfile,
    pub proxy: Option<WishedProxy>,
}

impl Default for WayOut {
    fn default() -> Self {
        Self { profile: EgressProfile::SharedDc, proxy: None }
    }
}

impl WayOut {
    /// Reads `egressProfile` and `proxy`; `None` when neither is there.
    pub fn read(fields: &Fields, config: &ServerConfig) -> Result<Option<WayOut>, Error> {
        let proxy = match fields.object("proxy")? {
            Some(fields) => Some(WishedProxy::read(&fields, config)?),
            None => None,
        };
        let profile = match (fields.word("egressProfile", &EgressProfile::ALL, EgressProfile::as_str)?, &proxy) {
            (None, None) => return Ok(None),
            (None, Some(_)) => EgressProfile::ByoProxy,
            (Some(EgressProfile::ByoProxy), None) => {
                return Err(fields.wrong("proxy", "is missing; byo-proxy needs it"));
            }
            (Some(profile), Some(_)) if profile != EgressProfile::ByoProxy => {
                return Err(fields.wrong("egressProfile", "expected byo-proxy, or nothing, beside a proxy"));
            }
            (Some(profile), _) => profile,
        };
        Ok(Some(WayOut { profile, proxy }))
    }
}

impl WishedProxy {
    fn read(fields: &Fields, config: &ServerConfig) -> Result<Self, Error> {
        let protocol = fields.word("protocol", &ProxyProtocol::ALL, ProxyProtocol::as_str)?;
        let protocol = fields.required("protocol", protocol)?;
        let host = fields.required("host", fields.text("host", 1..=HOST_BYTES_MAX)?)?;
        let named_by_operator = config.egress_hosts.keys().any(|name| name.eq_ignore_ascii_case(host));
        if !is_host(host) {
            return Err(fields.wrong("host", "expected a name or an address"));
        }
        if is_inside(host) && !named_by_operator {
            return Err(fields.wrong("host", "is a private address; expected one on the public network"));
        }
        let port = fields.required("port", fields.integer("port", 1..=u64::from(u16::MAX))?)?;
        let username = fields.text("username", 0..=CREDENTIAL_BYTES_MAX)?;
        let password = fields.text("password", 0..=CREDENTIAL_BYTES_MAX)?;
        let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(Secret::new);
        if given(username).is_none() && given(password).is_some() {
            return Err(fields.wrong("username", "is missing beside a password"));
        }
        Ok(Self {
            protocol,
            host: host.to_owned(),
            port: u16::try_from(port).unwrap_or(u16::MAX),
            username: given(username),
            password: given(password),
        })
    }
}

impl From<WishedProxy> for Proxy {
    fn from(wished: WishedProxy) -> Proxy {
        let WishedProxy { protocol, host, port, username, password } = wished;
        Proxy { protocol, host, port, username, password }
    }
}
