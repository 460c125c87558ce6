//! What the database refuses whoever asks, and its file.

use crate::Outcome;
use crate::world::{World, embed_spec};
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

pub async fn the_ledger_refuses_what_must_never_be(world: World) -> Outcome {
    let organization = world.organization().await;
    world.store.grant_minutes(&organization, 100, "", world.now()).await?;
    let settled = world.create(&world.new_session(&organization, embed_spec(10))).await.id;
    world.store.end_embed_session(&organization, &settled, world.now()).await?;
    let held = world.create(&world.new_session(&organization, embed_spec(20))).await.id;
    let movement = |kind: &str, minutes: i64| {
        format!(
            "INSERT INTO minute_movements (organization, kind, minutes, session, at)
             VALUES ('{organization}', '{kind}', {minutes}, '{held}', 1)"
        )
    };
    let refused = [
        format!("UPDATE sessions SET status = 'ended', ended_at = 1, end_reason = 'idle' WHERE id = '{held}'"),
        format!("UPDATE minute_holds SET refunded = 21, settled_at = 1 WHERE session = '{held}'"),
        format!("UPDATE minute_holds SET refunded = 1 WHERE session = '{held}'"),
        format!("UPDATE minute_holds SET minutes = 1 WHERE session = '{held}'"),
        format!("UPDATE minute_holds SET settled_at = 2 WHERE session = '{settled}'"),
        format!(
            "INSERT INTO minute_holds (session, organization, minutes, held_at) VALUES ('{settled}', '{organization}', 1, 1)"
        ),
        movement("hold", 1),
        movement("spend", 21),
        movement("refund", -1),
        movement("grant", 1),
        "UPDATE minute_movements SET minutes = minutes + 1".to_owned(),
        "DELETE FROM minute_movements".to_owned(),
        "UPDATE minute_entries SET minutes = 0".to_owned(),
        "DELETE FROM minute_entries".to_owned(),
        format!("UPDATE minute_totals SET available = -1 WHERE organization = '{organization}'"),
    ];
    for sql in refused {
        assert!(matches!(raw(&world.location, sql.clone()).await, Err(sqlx::Error::Database(_))), "{sql}");
    }
    world.is_whole().await;
    // A drift that somebody makes by hand is seen.
    raw(&world.location, format!("UPDATE minute_totals SET available = 101 WHERE organization = '{organization}'"))
        .await?;
    assert_eq!(world.store.invariants().await?.len(), 1);
    assert_eq!(world.store.past_invariants().await?.len(), 1);
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
