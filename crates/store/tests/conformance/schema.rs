//! What the database refuses whoever asks, and its file.

use crate::Outcome;
use crate::world::World;
use sqlx::Connection;
use vitrine_model::*;
use vitrine_store::{Location, Store, StoreOptions};

/// A statement of somebody who does not go through the store.
async fn raw(location: &Location, sql: String) -> Result<u64, sqlx::Error> {
    let sql = sqlx::AssertSqlSafe(sql);
    match location {
        Location::Sqlite(path) => {
            let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite:{}", path.display())).await?;
            Ok(sqlx::query(sql).execute(&mut connection).await?.rows_affected())
        }
        Location::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await?;
            Ok(sqlx::query(sql).execute(&mut connection).await?.rows_affected())
        }
    }
}

pub async fn the_database_itself_refuses_what_must_never_be(world: World) -> Outcome {
    let organization = world.organization().await;
    let node = world.machine(2).await;
    let ended = world.ready(&organization, &node).await;
    node.finish(&ended, EndReason::Idle).await;
    let live = world.ready(&organization, &node).await;
    let (ended, live, machine) = (ended.id, live.id, &node.register.machine);
    let refused = [
        format!("UPDATE sessions SET status = 'ready', ended_at = NULL WHERE id = '{ended}'"),
        format!("UPDATE sessions SET status = 'failed' WHERE id = '{ended}'"),
        format!("UPDATE sessions SET generation = generation - 1 WHERE id = '{live}'"),
        format!("UPDATE sessions SET status = 'ended', end_reason = 'idle' WHERE id = '{live}'"),
        format!("UPDATE sessions SET status = 'ended', ended_at = 1 WHERE id = '{live}'"),
        format!("UPDATE sessions SET machine_id = NULL WHERE id = '{live}'"),
        format!("UPDATE machines SET slots_used = 3 WHERE id = '{machine}'"),
        format!("UPDATE machines SET slots_used = -1 WHERE id = '{machine}'"),
        format!("UPDATE machines SET reserve_used_mb = 1000 WHERE id = '{machine}'"),
    ];
    for sql in refused {
        assert!(matches!(raw(&world.location, sql.clone()).await, Err(sqlx::Error::Database(_))), "{sql}");
    }
    world.is_whole().await;
    // A drift that somebody makes by hand is seen.
    raw(&world.location, format!("UPDATE machines SET slots_used = 2 WHERE id = '{machine}'")).await?;
    assert_eq!(world.store.invariants().await?.len(), 1);
    Ok(())
}

pub async fn it_opens_twice(world: World) -> Outcome {
    let organization = world.organization().await;
    let session = world.session(&organization).await;
    let again = Store::open(world.location.clone(), StoreOptions::default()).await?;
    assert!(again.session(&session.id).await?.is_some());
    again.close().await;
    assert!(!format!("{:?}", Location::Postgres("postgres://u:hunter2@h/d".to_owned())).contains("hunter2"));
    if let Location::Sqlite(path) = &world.location {
        use std::os::unix::fs::PermissionsExt;
        for suffix in ["", "-wal", "-shm"] {
            let file = path.with_file_name(format!("{}{suffix}", path.file_name().unwrap().to_string_lossy()));
            assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
    }
    Ok(())
}
