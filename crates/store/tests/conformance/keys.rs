//! Organizations, API keys, secrets, idempotency keys.

use crate::Outcome;
use crate::world::{MINUTE, World, entropy};
use vitrine_model::*;
use vitrine_store::*;

fn key(world: &World, organization: &OrganizationId, hash: [u8; 32]) -> NewApiKey {
    NewApiKey {
        id: ApiKeyId::new(world.now(), &entropy),
        organization: organization.clone(),
        name: "ci".to_owned(),
        hash,
        hint: "br_live_abcd".to_owned(),
        permissions: Permissions(vec![Permission::BrowserSessionsRead]),
        created_at: world.now(),
        expires_at: None,
    }
}

pub async fn a_key_opens_until_it_is_revoked_or_expires(world: World) -> Outcome {
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let mut new = key(&world, &ours, [1; 32]);
    let made = world.store.create_api_key(&new).await?;
    assert!(world.store.create_api_key(&new).await.is_err(), "the id is taken");
    assert!(world.store.create_api_key(&key(&world, &ours, [1; 32])).await.is_err(), "the hash is taken");
    assert_eq!(world.store.api_keys(&ours).await?, vec![made.clone()], "a refused key leaves nothing");
    assert_eq!(world.store.authenticate(&[2; 32], world.now()).await?, None);

    let (found, organization) = world.store.authenticate(&[1; 32], world.now()).await?.unwrap();
    assert_eq!((found.id, found.permissions, organization.id), (made.id.clone(), made.permissions, ours.clone()));
    assert_eq!(world.store.api_key(&theirs, &made.id).await?, None);
    assert_eq!(world.store.revoke_api_key(&theirs, &made.id, world.now()).await?, None);
    assert!(world.store.authenticate(&[1; 32], world.now()).await?.is_some());

    let revoked = world.store.revoke_api_key(&ours, &made.id, world.now()).await?.unwrap();
    world.pass(5);
    assert_eq!(world.store.revoke_api_key(&ours, &made.id, world.now()).await?.unwrap().revoked_at, revoked.revoked_at);
    assert_eq!(world.store.authenticate(&[1; 32], world.now()).await?, None);

    new = key(&world, &ours, [3; 32]);
    new.expires_at = Some(world.now() + MINUTE);
    world.store.create_api_key(&new).await?;
    assert!(world.store.authenticate(&[3; 32], world.now()).await?.is_some());
    world.pass(MINUTE);
    assert_eq!(world.store.authenticate(&[3; 32], world.now()).await?, None);
    Ok(())
}

pub async fn a_rotated_key_opens_with_both_secrets_for_the_grace_time(world: World) -> Outcome {
    let organization = world.organization().await;
    let made = world.store.create_api_key(&key(&world, &organization, [1; 32])).await?;
    let (now, grace) = (world.now(), world.now() + MINUTE);
    let rotated = world.store.rotate_api_key(&organization, &made.id, &[2; 32], "br_live_wxyz", now, grace).await?;
    assert_eq!(rotated.unwrap().hint, "br_live_wxyz");
    for hash in [[1; 32], [2; 32]] {
        assert_eq!(world.store.authenticate(&hash, now).await?.unwrap().0.id, made.id);
    }
    // A second rotation at once ends nobody's grace later than before.
    world.store.rotate_api_key(&organization, &made.id, &[3; 32], "br_live_3333", now, now + 10 * MINUTE).await?;
    world.pass(MINUTE);
    assert_eq!(world.store.authenticate(&[1; 32], world.now()).await?, None);
    assert!(world.store.authenticate(&[2; 32], world.now()).await?.is_some());
    assert!(world.store.authenticate(&[3; 32], world.now()).await?.is_some());
    world.store.delete_expired(world.now()).await?;
    assert!(world.store.authenticate(&[2; 32], world.now()).await?.is_some());
    world.store.revoke_api_key(&organization, &made.id, world.now()).await?;
    assert_eq!(world.store.authenticate(&[3; 32], world.now()).await?, None);
    let again = world.store.rotate_api_key(&organization, &made.id, &[4; 32], "x", world.now(), world.now()).await?;
    assert_eq!(again, None, "a revoked key stays revoked");
    Ok(())
}

pub async fn last_use_is_written_once_a_minute(world: World) -> Outcome {
    let organization = world.organization().await;
    let made = world.store.create_api_key(&key(&world, &organization, [1; 32])).await?;
    let first = world.now();
    for _ in 0..3 {
        world.store.authenticate(&[1; 32], world.now()).await?;
        assert_eq!(world.store.api_key(&organization, &made.id).await?.unwrap().last_used_at, Some(first));
        world.pass(MINUTE / 3 - 1);
    }
    world.pass(3);
    world.store.authenticate(&[1; 32], world.now()).await?;
    assert_eq!(world.store.api_key(&organization, &made.id).await?.unwrap().last_used_at, Some(world.now()));
    Ok(())
}

pub async fn organizations_and_secrets_are_kept(world: World) -> Outcome {
    let id = world.organization().await;
    assert!(world.store.set_plan(&id, Plan::Pro).await?);
    assert_eq!(world.store.organization(&id).await?.unwrap().plan, Plan::Pro);
    assert!(!world.store.set_plan(&OrganizationId::new(0, &entropy), Plan::Pro).await?);
    world.pass(1);
    world.organization().await;
    assert_eq!(world.store.organizations().await?[0].id, id);
    assert_eq!(world.store.secret("signing", [7; 32]).await?, [7; 32]);
    assert_eq!(world.second_store().await.secret("signing", [8; 32]).await?, [7; 32]);
    assert_eq!(world.store.secret("other", [9; 32]).await?, [9; 32]);
    world.store.ping().await?;
    Ok(())
}

pub async fn an_answer_is_kept_under_its_idempotency_key(world: World) -> Outcome {
    let key = ApiKeyId::new(0, &entropy);
    let (store, now) = (&world.store, world.now());
    assert_eq!(store.idempotency_claim(&key, "a", [1; 32], now, now + MINUTE).await?, Claim::First);
    let Claim::Taken(saved) = store.idempotency_claim(&key, "a", [2; 32], now, now + MINUTE).await? else { panic!() };
    assert_eq!((saved.request_hash, saved.answer), ([1; 32], None), "under way");
    store.idempotency_put(&key, "a", "{}", now + 2 * MINUTE).await?;
    store.idempotency_release(&key, "a").await?;
    let Claim::Taken(saved) = store.idempotency_claim(&key, "a", [1; 32], now, now + MINUTE).await? else { panic!() };
    assert_eq!(saved.answer.as_deref(), Some("{}"), "what has an answer is not released");
    store.idempotency_forget(&key, "a", "[]").await?;
    let again = store.idempotency_claim(&key, "a", [1; 32], now, now + MINUTE).await?;
    assert!(matches!(again, Claim::Taken(_)), "it has another answer by now");
    assert_eq!(store.idempotency_claim(&key, "c", [1; 32], now, now + MINUTE).await?, Claim::First);
    store.idempotency_put(&key, "c", "{}", now + MINUTE).await?;
    store.idempotency_forget(&key, "c", "{}").await?;
    assert_eq!(store.idempotency_claim(&key, "c", [2; 32], now, now + MINUTE).await?, Claim::First, "forgotten");
    assert_eq!(store.idempotency_claim(&key, "b", [1; 32], now, now + MINUTE).await?, Claim::First);
    store.idempotency_release(&key, "b").await?;
    assert_eq!(store.idempotency_claim(&key, "b", [1; 32], now, now + MINUTE).await?, Claim::First);
    world.pass(MINUTE);
    let now = world.now();
    assert_eq!(store.idempotency_claim(&key, "b", [3; 32], now, now + MINUTE).await?, Claim::First, "expired");
    world.pass(MINUTE);
    store.delete_expired(world.now()).await?;
    assert_eq!(store.idempotency_claim(&key, "a", [4; 32], world.now(), world.now() + 1).await?, Claim::First);
    Ok(())
}
