//! The schema's versions, the same numbers for both databases. A published one is never changed: its hash is in the database.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// SQLite's.
pub(crate) fn sqlite() -> Migrator {
    migrator(&[
        ("start", include_str!("../migrations/sqlite/0001_start.sql")),
        ("objects", include_str!("../migrations/sqlite/0002_objects.sql")),
        ("webhooks", include_str!("../migrations/sqlite/0003_webhooks.sql")),
        ("sandboxes", include_str!("../migrations/sqlite/0004_sandboxes.sql")),
        ("embed", include_str!("../migrations/sqlite/0005_embed.sql")),
    ])
}

/// PostgreSQL's.
pub(crate) fn postgres() -> Migrator {
    migrator(&[
        ("start", include_str!("../migrations/postgres/0001_start.sql")),
        ("objects", include_str!("../migrations/postgres/0002_objects.sql")),
        ("webhooks", include_str!("../migrations/postgres/0003_webhooks.sql")),
        ("sandboxes", include_str!("../migrations/postgres/0004_sandboxes.sql")),
        ("embed", include_str!("../migrations/postgres/0005_embed.sql")),
    ])
}

fn migrator(texts: &[(&'static str, &'static str)]) -> Migrator {
    let migrations = texts.iter().zip(1..).map(|((name, sql), version)| {
        Migration::new(version, (*name).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}
