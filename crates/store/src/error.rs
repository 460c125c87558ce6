//! What can go wrong between the program and its database.

/// The store's result.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A failure of the store. Its texts are for the log, never for a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, is unreachable, or the statement is wrong.
    #[error("use the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought to this program's version.
    #[error("bring the database's schema up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The file cannot be made private to this user.
    #[error("prepare the database file: {0}")]
    File(#[from] std::io::Error),
    /// A row holds what this program never writes.
    #[error("read column {column}: unexpected value {value:?}")]
    Corrupt { column: &'static str, value: String },
    /// A value that has no form in the database.
    #[error("encode {0}: {1}")]
    Encode(&'static str, serde_json::Error),
    /// The row was moved by somebody else in between.
    #[error("move a session that somebody else moved first")]
    Conflict,
    /// A session, machine or organization that has to exist does not.
    #[error("find the {0}")]
    Missing(&'static str),
    /// The program asked for a move that the session's state does not allow.
    #[error("move the session: {0}")]
    Illegal(#[from] vitrine_model::NotNow),
}
