//! Where an address is, by a file in MaxMind's format that the operator gives. Without one, nobody knows.

use super::routing::Point;
use maxminddb::Reader;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::Path;

/// The file, read once; clones of the server share it.
pub struct Geo(Option<Reader<Vec<u8>>>);

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    #[error("could not read {path}: {cause}")]
    Unreadable { path: String, cause: String },
}

/// What is read of an address's record.
#[derive(Deserialize)]
struct Record {
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Geo {
    /// Reads the file, where there is one.
    pub fn open(path: Option<&Path>) -> Result<Self, GeoError> {
        let Some(path) = path else { return Ok(Self(None)) };
        let reader = Reader::open_readfile(path);
        let unreadable = |cause: maxminddb::MaxMindDbError| GeoError::Unreadable {
            path: path.display().to_string(),
            cause: cause.to_string(),
        };
        Ok(Self(Some(reader.map_err(unreadable)?)))
    }

    /// Where an address is; `None` when the file does not know, or there is none.
    pub fn locate(&self, address: IpAddr) -> Option<Point> {
        // A record that cannot be read is as good as none.
        let record: Record = self.0.as_ref()?.lookup(address).ok()?.decode().ok()??;
        let Location { latitude, longitude } = record.location?;
        Point::new(latitude?, longitude?)
    }
}
