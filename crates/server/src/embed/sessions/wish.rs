//! What a client wishes for, read field by field. Two wishes that mean the same are the same.

use super::policy::PolicyWish;
use crate::embed::routing::Hint;
use crate::request::Fields;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use vitrine_model::embed::origin::EmbedOrigin;
use vitrine_model::embed::{MINUTES_DEFAULT, MINUTES_MAX, Policy};
use vitrine_model::{Code, EmbedSpec, EpochMs, Error};

/// Origins of one session: they travel in a header.
const ORIGINS_MAX: usize = 32;

/// A wish for an embed session, validated.
#[derive(Debug, Clone, Serialize)]
pub struct Wish {
    pub minutes: u32,
    pub hint: Hint,
    /// In one form each, sorted.
    pub origins: BTreeSet<String>,
    pub cdp: bool,
    pub policy: PolicyWish,
}

/// The body of `POST /api/v1/sessions`. One of `region`, `clientIP` and `lat` with `lon` is needed; where there are several, the
/// region goes before the point, and the point before the address. Unknown fields are ignored.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(
    as = CreateEmbedSession,
    example = json!({"minutes": 15, "region": "na-east", "allowedEmbeddingOrigins": ["https://app.example.com"]})
)]
#[serde(rename_all = "camelCase")]
pub struct WishBody {
    /// Left out: 15.
    #[schema(required = false, minimum = 1, maximum = 120)]
    pub minutes: u32,
    /// A global code such as `na-east`, or the three letters of a machine's region. The nearest region with room is taken.
    #[schema(nullable = false)]
    pub region: Option<String>,
    /// The public IPv4 or IPv6 address of whoever will look at it; also taken as `client_ip`.
    #[serde(rename = "clientIP")]
    #[schema(nullable = false)]
    pub client_ip: Option<String>,
    #[schema(nullable = false, minimum = -90, maximum = 90)]
    pub lat: Option<f64>,
    #[schema(nullable = false, minimum = -180, maximum = 180)]
    pub lon: Option<f64>,
    /// Who may frame its page: `https://host[:port]`, `https://*.host`, `https://*.host:*`, `http://host[:port]`.
    #[schema(nullable = false, max_items = 32)]
    pub allowed_embedding_origins: Option<Vec<String>>,
    /// It can also be driven over the DevTools protocol, and is metered for it.
    #[schema(required = false, default = false)]
    pub cdp: bool,
    #[schema(nullable = false)]
    pub policy: Option<super::policy::PolicyBody>,
}

impl Wish {
    /// Reads a body.
    pub fn read(body: &Map<String, Value>) -> Result<Self, Error> {
        let fields = Fields::of(body);
        let minutes = fields.integer("minutes", 1..=u64::from(MINUTES_MAX))?;
        Ok(Self {
            minutes: minutes.map_or(MINUTES_DEFAULT, |minutes| minutes as u32),
            origins: origins(&fields)?,
            cdp: fields.flag("cdp")?.unwrap_or(false),
            policy: fields.object("policy")?.map(|policy| PolicyWish::read(&policy)).transpose()?.unwrap_or_default(),
            hint: Hint::read(&fields)?,
        })
    }

    /// The same for two wishes exactly when they mean the same.
    pub fn hash(&self) -> Result<[u8; 32], Error> {
        Ok(Sha256::digest(serde_json::to_vec(self).map_err(Error::internal)?).into())
    }

    /// What is stored with the session.
    pub fn spec(&self, now: EpochMs) -> EmbedSpec {
        let mut policy = Policy::open(now);
        self.policy.apply(&mut policy);
        EmbedSpec {
            minutes: self.minutes,
            demo: false,
            cdp: self.cdp,
            embedding_origins: self.origins.iter().cloned().collect(),
            policy,
        }
    }
}

fn origins(fields: &Fields) -> Result<BTreeSet<String>, Error> {
    const FIELD: &str = "allowedEmbeddingOrigins";
    let Some(value) = fields.value(FIELD) else { return Ok(BTreeSet::new()) };
    let list = value.as_array().filter(|list| list.len() <= ORIGINS_MAX);
    let list = list.ok_or_else(|| fields.wrong(FIELD, format!("expected a list of at most {ORIGINS_MAX} origins")))?;
    let wrong = |at: usize, why: &dyn std::fmt::Display| {
        let name = format!("{FIELD}[{at}]");
        Error::new(Code::InvalidOrigin, format!("{name}: {why}")).with("field", name)
    };
    list.iter()
        .enumerate()
        .map(|(at, origin)| {
            let text = origin.as_str().ok_or_else(|| wrong(at, &"expected text"))?;
            EmbedOrigin::parse(text).map(|origin| origin.source()).map_err(|error| wrong(at, &error))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wish(body: Value) -> Result<Wish, Error> {
        let mut whole = json!({"region": "na-east"});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        Wish::read(whole.as_object().unwrap())
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        let hash = |body| wish(body).unwrap().hash().unwrap();
        let plain = hash(json!({}));
        for same in [
            json!({"minutes": 15}),
            json!({"minutes": 1.5e1}),
            json!({"allowedEmbeddingOrigins": []}),
            json!({"policy": {}, "cdp": false, "unknown": 1}),
            json!({"clientIP": "8.8.8.8"}),
        ] {
            assert_eq!(hash(same.clone()), plain, "{same}");
        }
        for other in [
            json!({"minutes": 16}),
            json!({"region": "eu-west"}),
            json!({"allowedEmbeddingOrigins": ["https://a.example"]}),
            json!({"cdp": true}),
            json!({"policy": {"downloads": true}}),
        ] {
            assert_ne!(hash(other.clone()), plain, "{other}");
        }
        let origins = |list: [&str; 2]| hash(json!({"allowedEmbeddingOrigins": list}));
        assert_eq!(
            origins(["https://a.example", "https://b.example:443"]),
            origins(["https://B.example", "https://a.example"])
        );
    }

    #[test]
    fn minutes_are_whole_and_within_what_is_sold() {
        for wrong in [json!(0), json!(-1), json!(121), json!(1.5), json!("15"), json!(null), json!([15]), json!(1e300)]
        {
            let error = wish(json!({"minutes": wrong})).unwrap_err();
            assert_eq!(error.context["field"], "minutes", "{wrong}");
        }
        for right in [1, 120] {
            assert_eq!(wish(json!({"minutes": right})).unwrap().minutes, right);
        }
    }
}
