//! Where a session runs: what the client said of it, and the machines that have room.
//!
//! A machine carries a three-letter code and a global code; either names its region. The nearest region with room is taken,
//! by the great circle between two points; a region without a known point is the farthest.

use crate::app::App;
use crate::request::Fields;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use vitrine_model::address::refusal;
use vitrine_model::{Code, EpochMs, Error};
use vitrine_store::{Machine, MachineState};

/// Where the regions are that every deployment knows, in degrees north and east.
const REGIONS: [(&str, f64, f64); 17] = [
    ("na-east", 39.0, -77.5),
    ("na-central", 41.3, -95.9),
    ("na-west", 37.4, -122.1),
    ("na-north", 45.5, -73.6),
    ("sa-east", -23.5, -46.6),
    ("sa-west", -33.4, -70.7),
    ("eu-west", 53.3, -6.3),
    ("eu-central", 50.1, 8.7),
    ("eu-north", 59.3, 18.1),
    ("eu-south", 45.5, 9.2),
    ("af-south", -33.9, 18.4),
    ("me-central", 25.2, 55.3),
    ("ap-south", 19.1, 72.9),
    ("ap-southeast", 1.35, 103.8),
    ("ap-east", 22.3, 114.2),
    ("ap-northeast", 35.7, 139.7),
    ("oc-southeast", -33.9, 151.2),
];
/// Longest name of a region.
const NAME_BYTES_MAX: usize = 64;
/// Longest text that is read as an address.
const ADDRESS_BYTES_MAX: usize = 45;

/// A place on the globe, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub lat: f64,
    pub lon: f64,
}

/// What a client said of where its session should run; the first of these that it said.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    Region(String),
    Point(Point),
    Client(IpAddr),
}

/// Where a session is to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// A code of machines; none = wherever there is room.
    pub region: Option<String>,
    /// Said to the client when its hint could not be followed.
    pub source: Option<&'static str>,
}

/// The `region_source` of a session whose client's address said nothing.
const DEFAULT: &str = "default";

/// Whether a text can be a region's name.
pub fn is_region_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

impl Point {
    /// A point within the ranges of latitude and longitude.
    pub fn new(lat: f64, lon: f64) -> Option<Self> {
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon)).then_some(Self { lat, lon })
    }

    /// The angle to another point, in radians.
    fn angle(self, other: Point) -> f64 {
        let (from, to) = (self.lat.to_radians(), other.lat.to_radians());
        let turn = (self.lon - other.lon).to_radians();
        (from.sin() * to.sin() + from.cos() * to.cos() * turn.cos()).clamp(-1.0, 1.0).acos()
    }
}

impl Hint {
    /// Reads whatever the body says of it. Each that is there has to be right; a region goes before a point, a point before an
    /// address.
    pub fn read(fields: &Fields) -> Result<Self, Error> {
        let region = fields.text("region", 1..=NAME_BYTES_MAX)?;
        if region.is_some_and(|region| !is_region_name(region)) {
            return Err(fields.wrong("region", "expected a region such as na-east, or the three letters of one"));
        }
        let (lat, lon) = (fields.number("lat", -90.0..=90.0)?, fields.number("lon", -180.0..=180.0)?);
        let address = match (address(fields, "clientIP")?, address(fields, "client_ip")?) {
            (Some(one), Some(other)) if one != other => {
                return Err(fields.wrong("client_ip", "differs from clientIP; expected one of them"));
            }
            (one, other) => one.or(other),
        };
        match (region, lat, lon, address) {
            (_, Some(_), None, _) => Err(fields.wrong("lon", "is missing; lat needs it")),
            (_, None, Some(_), _) => Err(fields.wrong("lat", "is missing; lon needs it")),
            (Some(region), ..) => Ok(Hint::Region(region.to_owned())),
            (None, Some(lat), Some(lon), _) => Ok(Hint::Point(Point { lat, lon })),
            (None, None, None, Some(address)) => Ok(Hint::Client(address)),
            (None, None, None, None) => Err(Error::new(
                Code::MissingRegion,
                "Provide clientIP, or region (global code), or lat+lon for geo-routing",
            )),
        }
    }
}

fn address(fields: &Fields, field: &str) -> Result<Option<IpAddr>, Error> {
    let Some(text) = fields.text(field, 1..=ADDRESS_BYTES_MAX)? else { return Ok(None) };
    let address = text.parse::<IpAddr>();
    let address = address.map_err(|_| fields.wrong(field, "expected an IPv4 or IPv6 address"))?.to_canonical();
    match refusal(address) {
        Some(range) => Err(fields.wrong(field, format!("expected a public address; this one is {range}"))),
        None => Ok(Some(address)),
    }
}

impl App {
    /// Where a session with this hint is to run, as the machines are now. Fails for a region that nobody knows.
    pub async fn route(&self, hint: &Hint) -> Result<Route, Error> {
        let machines = self.store.machines().await.map_err(Error::internal)?;
        let source = self.region_source(hint);
        let wished = match hint {
            Hint::Region(region) => {
                self.check_known(region, &machines)?;
                Some(region.clone())
            }
            Hint::Client(_) if source.is_some() => self.config.embed.default_region.clone(),
            Hint::Client(_) | Hint::Point(_) => None,
        };
        let point = match (hint, &wished) {
            (_, Some(region)) => self.point_of(region),
            (Hint::Point(point), None) => Some(*point),
            (Hint::Client(address), None) => self.geo.locate(*address),
            (Hint::Region(_), None) => None,
        };
        let now = self.clock.now();
        let open: Vec<_> = machines.iter().filter(|machine| self.has_room(machine, now)).collect();
        let is_wished = |machine: &&Machine| wished.as_deref().is_some_and(|region| is_of(machine, region));
        let nearest = |point: Point| {
            let angle = |machine: &Machine| self.point_of_machine(machine).map_or(f64::INFINITY, |at| at.angle(point));
            open.iter().copied().min_by(|left, right| angle(left).total_cmp(&angle(right)))
        };
        let taken = open.iter().copied().find(is_wished).or_else(|| point.and_then(nearest));
        // Where there is no room, it waits for some: in its region, when that has machines.
        let waits = || wished.filter(|region| machines.iter().any(|machine| is_of(machine, region)));
        Ok(Route { region: taken.map(|machine| machine.region_code.clone()).or_else(waits), source })
    }

    /// What a client hears about its hint when it could not be followed.
    pub fn region_source(&self, hint: &Hint) -> Option<&'static str> {
        match hint {
            Hint::Client(address) if self.geo.locate(*address).is_none() => Some(DEFAULT),
            Hint::Client(_) | Hint::Region(_) | Hint::Point(_) => None,
        }
    }

    fn check_known(&self, region: &str, machines: &[Machine]) -> Result<(), Error> {
        let configured = || self.config.regions.iter().any(|known| known == region);
        if self.point_of(region).is_some() || machines.iter().any(|machine| is_of(machine, region)) || configured() {
            return Ok(());
        }
        let own = self.config.embed.regions.iter().map(|known| known.name.as_str());
        let known: std::collections::BTreeSet<_> = REGIONS.iter().map(|(name, ..)| *name).chain(own).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        Err(Error::invalid("region", format!("no such region; there are {known}")))
    }

    /// Where a region is, by either of its names.
    fn point_of(&self, region: &str) -> Option<Point> {
        let own = self.config.embed.regions.iter().find(|known| known.name == region);
        let known = || REGIONS.iter().find(|(name, ..)| *name == region);
        own.map(|own| own.point).or_else(|| known().map(|(_, lat, lon)| Point { lat: *lat, lon: *lon }))
    }

    fn point_of_machine(&self, machine: &Machine) -> Option<Point> {
        self.point_of(&machine.region_code).or_else(|| self.point_of(&machine.region_global))
    }

    fn has_room(&self, machine: &Machine, now: EpochMs) -> bool {
        let reserve_mb = self.config.reserve_mb.light;
        machine.state == MachineState::Ready
            && !machine.draining
            && now.saturating_sub(machine.beat_at) < self.place_options().fresh_beat_ms
            && machine.slots_used < machine.slots_total
            && machine.reserve_total_mb.saturating_sub(machine.reserve_used_mb) >= reserve_mb
    }
}

fn is_of(machine: &Machine, region: &str) -> bool {
    machine.region_code == region || machine.region_global == region
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(body: Value) -> Result<Hint, Error> {
        Hint::read(&Fields::of(body.as_object().unwrap()))
    }

    #[test]
    fn a_region_goes_before_a_point_and_a_point_before_an_address() {
        let all = json!({"region": "na-east", "lat": 1, "lon": 2.5, "clientIP": "8.8.8.8"});
        assert_eq!(read(all).unwrap(), Hint::Region("na-east".into()));
        let point = json!({"lat": 1, "lon": 2.5, "client_ip": "8.8.8.8"});
        assert_eq!(read(point).unwrap(), Hint::Point(Point { lat: 1.0, lon: 2.5 }));
        let same = json!({"clientIP": "2001:4860:4860::8888", "client_ip": "2001:4860:4860:0:0:0:0:8888"});
        assert_eq!(read(same).unwrap(), Hint::Client("2001:4860:4860::8888".parse().unwrap()));
        assert_eq!(read(json!({})).unwrap_err().code, Code::MissingRegion);
    }

    #[test]
    fn whatever_is_wrong_is_named() {
        for (body, field) in [
            (json!({"region": "NA East"}), "region"),
            (json!({"region": null}), "region"),
            (json!({"region": 5}), "region"),
            (json!({"region": ""}), "region"),
            (json!({"region": "na-east", "lat": 91, "lon": 0}), "lat"),
            (json!({"lat": "1", "lon": 0}), "lat"),
            (json!({"lat": 1}), "lon"),
            (json!({"lon": 1}), "lat"),
            (json!({"lat": 0, "lon": 180.1}), "lon"),
            (json!({"clientIP": "10.0.0.1"}), "clientIP"),
            (json!({"clientIP": "::ffff:192.168.0.1"}), "clientIP"),
            (json!({"client_ip": "fe80::1"}), "client_ip"),
            (json!({"client_ip": "localhost"}), "client_ip"),
            (json!({"clientIP": "8.8.8.8", "client_ip": "8.8.4.4"}), "client_ip"),
        ] {
            let error = read(body.clone()).unwrap_err();
            assert_eq!((error.code, &error.context["field"]), (Code::InvalidRequest, &json!(field)), "{body}");
        }
    }

    #[test]
    fn distance_goes_around_the_globe() {
        let at = |lat, lon| Point { lat, lon };
        let fiji = at(-17.7, 178.0);
        assert!(fiji.angle(at(-13.8, -171.8)) < fiji.angle(at(-33.9, 151.2)), "across the date line");
        assert_eq!(fiji.angle(fiji), 0.0);
        assert!((at(90.0, 0.0).angle(at(-90.0, 77.0)) - std::f64::consts::PI).abs() < 1e-9);
    }
}
