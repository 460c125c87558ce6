//! `GET /api/v1/pricing`: what minutes cost, as the operator configured it.

use crate::answer::Answer;
use crate::app::App;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;
use vitrine_model::embed::{MINUTES_DEFAULT, MINUTES_MAX};

/// The product that is paid for each month.
pub const SUBSCRIPTION: &str = "subscription";
/// Longest name of a product.
const PRODUCT_BYTES_MAX: usize = 64;

/// Minutes for a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = MinutePack)]
pub struct PackView {
    #[schema(example = "minutes_300")]
    pub product: String,
    #[schema(example = 300)]
    pub minutes: u32,
    #[schema(example = 2_000)]
    pub price_cents: u32,
}

/// Minutes for a price, as `PRODUCT=MINUTES/CENTS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pack {
    pub product: String,
    pub minutes: u32,
    pub price_cents: u32,
}

/// What is sold.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Pricing {
    /// ISO 4217, in small letters.
    #[schema(example = "usd")]
    pub currency: String,
    pub packs: Vec<PackView>,
    /// Paid for each month; null when there is none.
    pub subscription: Option<PackView>,
    pub defaults: Defaults,
}

/// Figures of a session.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = SessionMinutes)]
pub struct Defaults {
    /// Of a session where the client names no figure.
    #[schema(example = 15)]
    pub minutes: u32,
    #[schema(example = 120)]
    pub max_minutes: u32,
}

impl FromStr for Pack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not PRODUCT=MINUTES/CENTS, for example minutes_300=300/2000");
        let (product, figures) = text.split_once('=').ok_or_else(wrong)?;
        let (minutes, cents) = figures.split_once('/').ok_or_else(wrong)?;
        let product = product.trim().to_owned();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if product.is_empty() || product.len() > PRODUCT_BYTES_MAX || !product.bytes().all(plain) {
            return Err(wrong());
        }
        let minutes = minutes.trim().parse().ok().filter(|minutes| *minutes > 0).ok_or_else(wrong)?;
        Ok(Self { product, minutes, price_cents: cents.trim().parse().map_err(|_| wrong())? })
    }
}

impl TryFrom<String> for Pack {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Pack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}/{}", self.product, self.minutes, self.price_cents)
    }
}

impl From<Pack> for String {
    fn from(pack: Pack) -> String {
        pack.to_string()
    }
}

impl Pack {
    /// Whether it is paid for each month.
    pub fn is_subscription(&self) -> bool {
        self.product == SUBSCRIPTION
    }
}

impl From<&Pack> for PackView {
    fn from(pack: &Pack) -> Self {
        Self { product: pack.product.clone(), minutes: pack.minutes, price_cents: pack.price_cents }
    }
}

/// List minute packs and defaults.
#[utoipa::path(
    get, path = "/api/v1/pricing", operation_id = "readPricing", tag = "Minutes",
    responses((status = 200, description = "What is sold", body = Pricing))
)]
pub async fn read(State(app): State<App>) -> Answer<Json<Pricing>> {
    let config = &app.config.embed;
    let (subscriptions, packs): (Vec<&Pack>, Vec<&Pack>) = config.packs.iter().partition(|pack| pack.is_subscription());
    Ok(Json(Pricing {
        currency: config.currency.clone(),
        packs: packs.into_iter().map(PackView::from).collect(),
        subscription: subscriptions.first().map(|pack| PackView::from(*pack)),
        defaults: Defaults { minutes: MINUTES_DEFAULT, max_minutes: MINUTES_MAX },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_reads_as_it_is_written() {
        let pack: Pack = " minutes_300 = 300 / 2000 ".parse().unwrap();
        assert_eq!(pack.to_string(), "minutes_300=300/2000");
        for wrong in ["", "a", "a=1", "a=0/1", "a=1/-1", "=1/1", "a b=1/1", "A=1/1", "a=1.5/1"] {
            assert!(wrong.parse::<Pack>().is_err(), "{wrong}");
        }
    }
}
