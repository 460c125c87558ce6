//! What an operator may set of the embed platform.

pub use super::demo::config::DemoConfig;
use super::pricing::{Pack, SUBSCRIPTION};
use super::routing::{Point, is_region_name};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use vitrine_model::Secret;
use vitrine_model::embed::EmbedOrigin;

/// The embed platform's settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbedConfig {
    /// Who may frame every session's page, besides those whom it was made for.
    pub frame_ancestors: Vec<String>,
    /// Origins whose pages may make demo sessions.
    pub trusted_origins: Vec<String>,
    /// Where sessions go whose `clientIP` says nothing; none = wherever there is room.
    pub default_region: Option<String>,
    /// Where regions are, beside those that are known or in their place.
    pub regions: Vec<RegionPoint>,
    /// A file in MaxMind's format that says where addresses are.
    pub geoip_database: Option<PathBuf>,
    /// ISO 4217, in small letters.
    pub currency: String,
    /// What is sold. The one called `subscription` is paid for each month.
    pub packs: Vec<Pack>,
    pub billing: Billing,
    pub demo: DemoConfig,
}

/// Who takes the money.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Billing {
    pub provider: Provider,
    /// Stripe's secret key.
    #[serde(serialize_with = "masked")]
    pub stripe_secret_key: Option<Secret>,
    /// What signs Stripe's calls to us.
    #[serde(serialize_with = "masked")]
    pub stripe_webhook_secret: Option<Secret>,
    /// Where Stripe's API is.
    pub stripe_url: String,
}

/// A billing provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The operator confirms each order.
    #[default]
    Manual,
    Stripe,
}

impl Provider {
    /// The word in the table and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Manual => "manual",
            Provider::Stripe => "stripe",
        }
    }
}

/// Where a region is: `NAME=LATITUDE/LONGITUDE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegionPoint {
    /// A global code or the three letters of machines.
    pub name: String,
    pub point: Point,
}

impl FromStr for RegionPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not NAME=LATITUDE/LONGITUDE, for example na-east=39.0/-77.5");
        let (name, place) = text.split_once('=').ok_or_else(wrong)?;
        let (lat, lon) = place.split_once('/').ok_or_else(wrong)?;
        let degrees = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
        let point = Point::new(degrees(lat)?, degrees(lon)?).ok_or_else(wrong)?;
        let name = name.trim().to_owned();
        if is_region_name(&name) { Ok(Self { name, point }) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for RegionPoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for RegionPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}/{}", self.name, self.point.lat, self.point.lon)
    }
}

impl From<RegionPoint> for String {
    fn from(region: RegionPoint) -> String {
        region.to_string()
    }
}

impl Default for Billing {
    fn default() -> Self {
        Self {
            provider: Provider::Manual,
            stripe_secret_key: None,
            stripe_webhook_secret: None,
            stripe_url: "https://api.stripe.com".to_owned(),
        }
    }
}

impl Default for EmbedConfig {
    fn default() -> Self {
        let pack = |product: &str, minutes, price_cents| Pack { product: product.to_owned(), minutes, price_cents };
        Self {
            frame_ancestors: Vec::new(),
            trusted_origins: Vec::new(),
            default_region: None,
            regions: Vec::new(),
            geoip_database: None,
            currency: "usd".to_owned(),
            packs: vec![
                pack("minutes_60", 60, 500),
                pack("minutes_300", 300, 2_000),
                pack("minutes_1000", 1_000, 5_000),
                pack(SUBSCRIPTION, 1_000, 3_900),
            ],
            billing: Billing::default(),
            demo: DemoConfig::default(),
        }
    }
}

impl EmbedConfig {
    /// Everything that is wrong, each with the key and what would be right.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(region) = self.default_region.as_deref().filter(|name| !is_region_name(name)) {
            problems.push(format!("embed.default_region: {region:?} is not a region such as na-east"));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
            problems.push("embed.currency: expected three small letters, for example usd".to_owned());
        }
        let products = self.packs.iter().map(|pack| &pack.product).collect::<std::collections::BTreeSet<_>>();
        if products.len() != self.packs.len() {
            problems.push("embed.packs: a product stands there twice".to_owned());
        }
        for (key, origins) in [("frame_ancestors", &self.frame_ancestors), ("trusted_origins", &self.trusted_origins)] {
            let wrong = origins.iter().filter_map(|origin| Some((origin, EmbedOrigin::parse(origin).err()?)));
            problems.extend(wrong.map(|(origin, error)| format!("embed.{key}: {origin:?}: {error}")));
        }
        let billing = &self.billing;
        let has_secrets = billing.stripe_secret_key.is_some() && billing.stripe_webhook_secret.is_some();
        if billing.provider == Provider::Stripe && !has_secrets {
            problems
                .push("embed.billing: provider stripe needs stripe_secret_key and stripe_webhook_secret".to_owned());
        }
        if !["https://", "http://"].iter().any(|scheme| billing.stripe_url.starts_with(scheme)) {
            problems.push("embed.billing.stripe_url: expected https://HOST".to_owned());
        }
        problems
    }
}

fn masked<S: serde::Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| "***").serialize(serializer)
}
