//! Orders: a payment is taken once, whoever tells of it how often.

use crate::Outcome;
use crate::world::{World, entropy};
use tokio::task::JoinSet;
use vitrine_model::*;
use vitrine_store::*;

const DAY: i64 = 86_400_000;

fn order(world: &World, organization: Option<&OrganizationId>) -> NewOrder {
    NewOrder {
        id: OrderId::new(world.now(), &entropy),
        product: "minutes_300".to_owned(),
        minutes: 300,
        price_cents: 1_500,
        currency: "eur".to_owned(),
        email: Some("someone@example.test".to_owned()),
        provider: "manual".to_owned(),
        provider_ref: None,
        organization: organization.cloned(),
    }
}

fn newcomer(world: &World) -> Organization {
    let id = OrganizationId::new(world.now(), &entropy);
    Organization { id, name: "someone".to_owned(), plan: Plan::Free, created_at: world.now() }
}

fn key(world: &World, organization: &OrganizationId) -> NewApiKey {
    let mut hash = [0; 32];
    entropy(&mut hash);
    NewApiKey {
        id: ApiKeyId::new(world.now(), &entropy),
        organization: organization.clone(),
        name: "order".to_owned(),
        hash,
        hint: "bbx_1234".to_owned(),
        permissions: Permissions::default(),
        created_at: world.now(),
        expires_at: None,
    }
}

pub async fn a_payment_is_taken_once(world: World) -> Outcome {
    let (new, newcomer) = (order(&world, None), newcomer(&world));
    world.store.create_order(&new, world.now()).await?;
    let pending = world.store.order(&new.id).await?.unwrap();
    assert_eq!((pending.status, pending.organization.as_ref()), (OrderStatus::Pending, None));
    assert!(!world.store.take_key_reveal(&new.id, &key(&world, &world.organization().await)).await?);

    let paid = world.store.pay_order(&new.id, &newcomer, world.now()).await?.unwrap();
    assert_eq!((paid.first, &paid.organization), (true, &newcomer.id));
    assert_eq!(world.store.order(&new.id).await?.as_ref(), Some(&paid.order), "what is answered is what is stored");
    world.pass(1);
    let again = world.store.pay_order(&new.id, &self::newcomer(&world), world.now()).await?.unwrap();
    assert_eq!((again.first, &again.organization, &again.order), (false, &newcomer.id, &paid.order));
    let balance = world.store.minutes(&newcomer.id).await?;
    assert_eq!((balance.balance_minutes, balance.lifetime_minutes), (300, 300));
    let movements = world.store.minute_movements(&newcomer.id, 10).await?;
    assert_eq!((movements.len(), movements[0].kind), (1, MinutesKind::Purchase));
    assert_eq!(movements[0].order.as_ref(), Some(&new.id));
    assert_eq!(world.store.order_email(&newcomer.id).await?.as_deref(), Some("someone@example.test"));
    assert!(!world.store.cancel_order(&new.id).await?, "paid is paid");

    let first = key(&world, &newcomer.id);
    assert!(!world.store.take_key_reveal(&new.id, &key(&world, &world.organization().await)).await?, "a stranger's");
    assert!(world.store.take_key_reveal(&new.id, &first).await?);
    assert!(!world.store.take_key_reveal(&new.id, &key(&world, &newcomer.id)).await?, "once");
    assert!(world.store.authenticate(&first.hash, world.now()).await?.is_some());
    assert_eq!(world.store.api_keys(&newcomer.id).await?.len(), 1);
    world.is_whole().await;
    Ok(())
}

pub async fn a_top_up_goes_to_its_organization(world: World) -> Outcome {
    let organization = world.organization().await;
    let new = order(&world, Some(&organization));
    world.store.create_order(&new, world.now()).await?;
    assert_eq!(world.store.order_email(&organization).await?, None);
    let (newcomer, before) = (newcomer(&world), world.store.organizations().await?.len());
    let paid = world.store.pay_order(&new.id, &newcomer, world.now()).await?.unwrap();
    assert_eq!(paid.organization, organization);
    assert_eq!(world.store.organizations().await?.len(), before, "none is made");
    assert_eq!(world.store.minutes(&organization).await?.balance_minutes, 300);
    assert!(!world.store.take_key_reveal(&new.id, &key(&world, &organization)).await?, "it has its keys");
    world.is_whole().await;
    Ok(())
}

pub async fn what_nobody_pays_is_forgotten(world: World) -> Outcome {
    let (first, second, third) = (order(&world, None), order(&world, None), order(&world, None));
    for (number, new) in [&first, &second, &third].into_iter().enumerate() {
        world.store.create_order(new, world.now() + number as i64).await?;
    }
    assert!(world.store.cancel_order(&second.id).await?);
    assert!(!world.store.cancel_order(&second.id).await?);
    assert!(world.store.pay_order(&second.id, &newcomer(&world), world.now()).await?.is_none(), "cancelled");
    assert!(world.store.pay_order(&OrderId::new(1, &entropy), &newcomer(&world), world.now()).await?.is_none());
    world.store.pay_order(&third.id, &newcomer(&world), world.now()).await?.unwrap();
    let ids = |orders: Vec<Order>| orders.into_iter().map(|order| order.id).collect::<Vec<_>>();
    assert_eq!(ids(world.store.orders(None, 2).await?), [third.id.clone(), second.id.clone()], "newest first");
    assert_eq!(ids(world.store.orders(Some(OrderStatus::Pending), 10).await?), std::slice::from_ref(&first.id));
    world.store.delete_expired(world.now() + 29 * DAY).await?;
    assert_eq!(world.store.orders(None, 10).await?.len(), 3);
    world.store.delete_expired(world.now() + 31 * DAY).await?;
    assert_eq!(ids(world.store.orders(None, 10).await?), std::slice::from_ref(&third.id));
    world.is_whole().await;
    Ok(())
}

pub async fn payments_at_once_are_one(world: World) -> Outcome {
    let new = order(&world, None);
    world.store.create_order(&new, world.now()).await?;
    let second = world.second_store().await;
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let store = if number % 2 == 0 { world.store.clone() } else { second.clone() };
        let (id, newcomer, now) = (new.id.clone(), newcomer(&world), world.now());
        tasks.spawn(async move { store.pay_order(&id, &newcomer, now).await.unwrap().unwrap() });
    }
    let paid = tasks.join_all().await;
    assert_eq!(paid.iter().filter(|paid| paid.first).count(), 1);
    assert!(paid.iter().all(|one| one.organization == paid[0].organization));
    assert_eq!(world.store.organizations().await?.len(), 1);
    assert_eq!(world.store.minutes(&paid[0].organization).await?.balance_minutes, 300);
    second.close().await;
    world.is_whole().await;
    Ok(())
}
