//! Where the rows are.

use crate::Result;
use std::path::PathBuf;

/// Where the database is.
#[derive(Clone)]
pub enum Location {
    /// A file, made when it is missing.
    Sqlite(PathBuf),
    /// `postgres://…`
    Postgres(String),
}

/// Figures of a store.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Connections at once: readers beside the one writer of SQLite, all of PostgreSQL.
    pub connections: u32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { connections: 4 }
    }
}

/// The store. Clones share its connections.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Opens the database and brings its schema up to date.
    pub async fn open(location: Location, options: StoreOptions) -> Result<Self> {
        todo!()
    }

    /// Closes every connection.
    pub async fn close(&self) {
        todo!()
    }
}
