//! The two databases behind one set of verbs. Values go in as [`Value`], rows come out as [`Row`], and a statement that is
//! not the same in both comes as [`Sql`] with two texts. No other file names a driver.

use crate::{Result, StoreError, migrations};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Database, Encode, Executor, PgPool, Postgres, Sqlite, SqlitePool, Type};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How long a SQLite writer waits for another process's, for example the command line's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Prepared statements kept for each connection; all of ours fit.
const STATEMENTS_KEPT: usize = 96;
/// Page cache of each SQLite connection, in KiB: negative is SQLite's sign for KiB.
const PAGE_CACHE: &str = "-1024";
/// Pages to which the log may grow before a commit has to write it back itself: that waits for the disk.
const LOG_PAGES_MAX: &str = "16384";
/// A connection that lay idle for longer is asked whether its server is still there; asking costs a round trip.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How SQLite begins a transaction: an ordinary one can be lost in a power failure, whole and with all that came after it.
const BEGIN: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";
/// This one cannot, once it is committed.
const BEGIN_DURABLE: &str = "PRAGMA synchronous = FULL; BEGIN IMMEDIATE";
/// Tries of a transaction that lost against another one.
const TRIES_MAX: u32 = 8;

/// Where the database is.
#[derive(Clone)]
pub enum Location {
    /// A file, made when it is missing.
    Sqlite(PathBuf),
    /// `postgres://…`
    Postgres(String),
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            // The URL holds a password.
            Location::Postgres(_) => f.write_str("Postgres(***)"),
        }
    }
}

/// Figures of a store.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Connections at once; SQLite's one writer is one of them.
    pub connections: u32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { connections: 4 }
    }
}

/// The store. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
}

#[derive(Clone)]
enum Pools {
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
        /// Writes the log back beside the writer.
        keeper: SqlitePool,
    },
    Postgres(PgPool),
}

impl Store {
    /// Opens the database and brings its schema up to date.
    pub async fn open(location: Location, options: StoreOptions) -> Result<Self> {
        let pools = match location {
            Location::Sqlite(path) => open_sqlite(&path, options).await?,
            Location::Postgres(url) => open_postgres(&url, options).await?,
        };
        Ok(Self { pools })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers, keeper } => {
                keeper.close().await;
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    /// Begins a transaction that may read and then write: on SQLite it is the only writer from its first moment.
    pub(crate) async fn begin(&self) -> Result<Transaction> {
        retry_when(connection_is_gone, || self.begin_once(BEGIN)).await
    }

    /// The same of one that moves minutes or money: somebody was told of it, so it has to outlive a power failure.
    pub(crate) async fn begin_durable(&self) -> Result<Transaction> {
        retry_when(connection_is_gone, || self.begin_once(BEGIN_DURABLE)).await
    }

    async fn begin_once(&self, sqlite: &'static str) -> Result<Transaction> {
        Ok(match &self.pools {
            Pools::Sqlite { writer, .. } => Transaction::Sqlite(writer.begin_with(sqlite).await?),
            Pools::Postgres(pool) => Transaction::Postgres(begin_whole(pool).await?),
        })
    }

    /// Writes what was committed to its place, so that no commit has to wait until that is done.
    pub async fn write_back(&self) -> Result<()> {
        if let Pools::Sqlite { keeper, .. } = &self.pools {
            sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(keeper).await?;
        }
        Ok(())
    }

    /// Whether other programs may write at the same time.
    pub(crate) fn is_concurrent(&self) -> bool {
        matches!(self.pools, Pools::Postgres(_))
    }

    /// All rows of a statement that only reads.
    pub(crate) async fn all(&self, sql: impl Into<Sql>, values: &[Value]) -> Result<Vec<Row>> {
        let sql = sql.into();
        let read = async || match &self.pools {
            Pools::Sqlite { readers, .. } => fetch_all(readers, sql.sqlite, values, Row::Sqlite).await,
            Pools::Postgres(pool) => fetch_all(pool, sql.postgres, values, Row::Postgres).await,
        };
        retry_when(connection_is_gone, read).await
    }

    /// The first row of a statement that only reads.
    pub(crate) async fn first(&self, sql: impl Into<Sql>, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// Runs one statement that writes; answers the rows it touched.
    pub(crate) async fn run(&self, sql: impl Into<Sql>, values: &[Value]) -> Result<u64> {
        let sql = sql.into();
        Ok(match &self.pools {
            Pools::Sqlite { writer, .. } => bind(sql.sqlite, values).execute(writer).await?.rows_affected(),
            Pools::Postgres(pool) => bind(sql.postgres, values).execute(pool).await?.rows_affected(),
        })
    }
}

/// Begins, whether the caller waits for it or not. The driver takes a transaction for begun only once the answer is there: if
/// a caller went away before, the connection would stay in a transaction of which nobody knows, and what it was given next
/// would never be committed.
async fn begin_whole(pool: &PgPool) -> Result<sqlx::Transaction<'static, Postgres>> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with("BEGIN").await }).await;
    Ok(begun.map_err(std::io::Error::other).map_err(sqlx::Error::Io)??)
}

async fn open_sqlite(path: &Path, options: StoreOptions) -> Result<Pools> {
    make_private(path)?;
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS_KEPT)
        .pragma("cache_size", PAGE_CACHE)
        .pragma("wal_autocheckpoint", LOG_PAGES_MAX)
        .disable_statement_logging();
    // SQLite undoes a transaction itself when the disk is full; the driver then believes for ever that it is in one, and the one
    // writer would begin no other.
    let writer = pool::<Sqlite>(1)
        .before_acquire(|connection, _| Box::pin(std::future::ready(Ok(!connection.is_in_transaction()))));
    let writer = writer.connect_with(connect.clone()).await?;
    migrations::sqlite().run(&writer).await?;
    let keeper = pool(1).connect_lazy_with(connect.clone());
    let readers = pool(options.connections.saturating_sub(1).max(1)).connect_lazy_with(connect.read_only(true));
    Ok(Pools::Sqlite { writer, readers, keeper })
}

async fn open_postgres(url: &str, options: StoreOptions) -> Result<Pools> {
    let connect = PgConnectOptions::from_str(url)?
        .application_name("vitrine")
        .statement_cache_capacity(STATEMENTS_KEPT)
        .disable_statement_logging();
    let pool = pool::<Postgres>(options.connections.max(1)).before_acquire(|connection, metadata| {
        Box::pin(async move {
            if metadata.idle_for > TRUSTED_IDLE {
                connection.ping().await?;
            }
            Ok(true)
        })
    });
    let pool = pool.connect_with(connect).await?;
    migrations::postgres().run(&pool).await?;
    Ok(Pools::Postgres(pool))
}

fn pool<DB: Database>(connections: u32) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Makes the file before SQLite does, because SQLite gives its journals the mode of the file.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

/// A transaction; without [`Transaction::commit`] it never happened.
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    /// All rows.
    pub(crate) async fn all(&mut self, sql: impl Into<Sql>, values: &[Value]) -> Result<Vec<Row>> {
        let sql = sql.into();
        match self {
            Transaction::Sqlite(tx) => fetch_all(&mut **tx, sql.sqlite, values, Row::Sqlite).await,
            Transaction::Postgres(tx) => fetch_all(&mut **tx, sql.postgres, values, Row::Postgres).await,
        }
    }

    /// The first row.
    pub(crate) async fn first(&mut self, sql: impl Into<Sql>, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    /// Runs a statement; answers the rows it touched.
    pub(crate) async fn run(&mut self, sql: impl Into<Sql>, values: &[Value]) -> Result<u64> {
        let sql = sql.into();
        Ok(match self {
            Transaction::Sqlite(tx) => bind(sql.sqlite, values).execute(&mut **tx).await?.rows_affected(),
            Transaction::Postgres(tx) => bind(sql.postgres, values).execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// Whether other transactions may be under way at the same time, so that rows have to be locked.
    pub(crate) fn is_concurrent(&self) -> bool {
        matches!(self, Transaction::Postgres(_))
    }

    /// Undoes it and gives its locks back now; dropped, it keeps them until its connection is used again.
    pub(crate) async fn rollback(self) -> Result<()> {
        match self {
            Transaction::Sqlite(tx) => tx.rollback().await?,
            Transaction::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    /// Makes it so.
    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Transaction::Sqlite(tx) => tx.commit().await?,
            Transaction::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// Does a transaction again that lost against another one: a deadlock, a busy file, a row that was moved in between.
pub(crate) async fn retry<T, F: Future<Output = Result<T>>>(attempt: impl FnMut() -> F) -> Result<T> {
    retry_when(lost_against_another, attempt).await
}

async fn retry_when<T, F: Future<Output = Result<T>>>(
    again: fn(&StoreError) -> bool,
    mut attempt: impl FnMut() -> F,
) -> Result<T> {
    let mut tries = 1;
    loop {
        match attempt().await {
            Err(error) if tries < TRIES_MAX && again(&error) => {
                tokio::time::sleep(Duration::from_millis(u64::from(tries * tries))).await;
                tries += 1;
            }
            settled => return settled,
        }
    }
}

fn lost_against_another(error: &StoreError) -> bool {
    match error {
        StoreError::Conflict => true,
        StoreError::Database(sqlx::Error::Database(error)) => {
            // PostgreSQL: serialization failure, deadlock. SQLite: busy, busy with a stale snapshot, busy recovering.
            matches!(error.code().as_deref(), Some("40001" | "40P01" | "5" | "517" | "261"))
        }
        _ => false,
    }
}

/// Nothing was asked of the database yet, or nothing but a question: another connection can be asked.
fn connection_is_gone(error: &StoreError) -> bool {
    match error {
        StoreError::Database(sqlx::Error::Io(_)) => true,
        // PostgreSQL: shut down by its administrator, crashed, not up yet.
        StoreError::Database(sqlx::Error::Database(error)) => {
            matches!(error.code().as_deref(), Some("57P01" | "57P02" | "57P03"))
        }
        _ => false,
    }
}

/// A statement in both dialects.
#[derive(Clone, Copy)]
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }
}

/// A statement whose rows PostgreSQL has to lock; SQLite's one writer needs no locks.
macro_rules! locking {
    ($text:expr, $lock:literal) => {
        crate::backend::Sql { sqlite: $text, postgres: concat!($text, " ", $lock) }
    };
}
pub(crate) use locking;

/// What a statement is given.
pub(crate) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Vec<u8>),
}

/// The values of a statement, in the order of `$1, $2…`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$(crate::backend::Value::from($value)),*] };
}
pub(crate) use values;

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Integer(Some(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Integer(Some(i64::from(number)))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Integer(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Value::Integer(Some(i64::from(yes)))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Value::Integer(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Some(text))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Value::Text(text.map(str::to_owned))
    }
}

impl From<&[u8; 32]> for Value {
    fn from(bytes: &[u8; 32]) -> Self {
        Value::Bytes(bytes.to_vec())
    }
}

fn bind<'q, DB: Database>(sql: &'static str, values: &'q [Value]) -> sqlx::query::Query<'q, DB, DB::Arguments>
where
    Option<i64>: Encode<'q, DB> + Type<DB>,
    Option<&'q str>: Encode<'q, DB> + Type<DB>,
    &'q [u8]: Encode<'q, DB> + Type<DB>,
{
    values.iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Integer(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_deref()),
        Value::Bytes(bytes) => query.bind(bytes.as_slice()),
    })
}

async fn fetch_all<'e, DB: Database>(
    executor: impl Executor<'e, Database = DB>,
    sql: &'static str,
    values: &[Value],
    row: fn(DB::Row) -> Row,
) -> Result<Vec<Row>>
where
    DB::Arguments: sqlx::IntoArguments<DB>,
    for<'q> Option<i64>: Encode<'q, DB> + Type<DB>,
    for<'q> Option<&'q str>: Encode<'q, DB> + Type<DB>,
    for<'q> &'q [u8]: Encode<'q, DB> + Type<DB>,
{
    Ok(bind(sql, values).fetch_all(executor).await?.into_iter().map(row).collect())
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What both databases can decode.
pub(crate) trait Column:
    for<'r> sqlx::Decode<'r, Sqlite> + Type<Sqlite> + for<'r> sqlx::Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Column for T where
    T: for<'r> sqlx::Decode<'r, Sqlite> + Type<Sqlite> + for<'r> sqlx::Decode<'r, Postgres> + Type<Postgres>
{
}

impl Row {
    /// A column as the database has it.
    pub(crate) fn get<T: Column>(&self, column: &'static str) -> Result<T> {
        use sqlx::Row as _;
        Ok(match self {
            Row::Sqlite(row) => row.try_get(column)?,
            Row::Postgres(row) => row.try_get(column)?,
        })
    }

    /// An integer in a narrower type.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|_| StoreError::Corrupt { column, value: number.to_string() })
    }

    /// A word of ours: an id, a state, a reason.
    pub(crate) fn word<T>(&self, column: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T> {
        let text: String = self.get(column)?;
        read(&text).ok_or(StoreError::Corrupt { column, value: text })
    }

    /// A word of ours that may be missing.
    pub(crate) fn maybe_word<T>(&self, column: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        match self.get::<Option<String>>(column)? {
            Some(text) => read(&text).map(Some).ok_or(StoreError::Corrupt { column, value: text }),
            None => Ok(None),
        }
    }

    /// 32 bytes.
    pub(crate) fn bytes(&self, column: &'static str) -> Result<[u8; 32]> {
        let bytes: Vec<u8> = self.get(column)?;
        let count = bytes.len();
        bytes.try_into().map_err(|_| StoreError::Corrupt { column, value: format!("{count} bytes") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transaction_that_the_database_undid_itself_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("store.db"));
        let store = Store::open(location, StoreOptions::default()).await.unwrap();
        for _ in 0..3 {
            let mut undone = store.begin().await.unwrap();
            // What a full disk makes SQLite do.
            undone.run("ROLLBACK", &[]).await.unwrap();
            assert!(undone.commit().await.is_err());
        }
        store.begin().await.unwrap().commit().await.unwrap();
        store.close().await;
    }

    #[tokio::test]
    async fn only_what_has_to_outlive_a_power_failure_waits_for_the_disk() {
        const FULL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("store.db"));
        let store = Store::open(location, StoreOptions::default()).await.unwrap();
        for durable in [false, true, false] {
            let begun = if durable { store.begin_durable().await } else { store.begin().await };
            let mut tx = begun.unwrap();
            let row = tx.first("PRAGMA synchronous", &[]).await.unwrap().unwrap();
            assert_eq!(row.get::<i64>("synchronous").unwrap() == FULL, durable);
            tx.commit().await.unwrap();
        }
        store.close().await;
    }
}
