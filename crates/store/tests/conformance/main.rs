//! One suite, run on SQLite and on PostgreSQL: every case gets a store of its own on an empty database.

mod checkpoints;
mod crash;
mod create;
mod demo;
mod events;
mod figures;
mod health;
mod keys;
mod ledger;
mod lifecycle;
mod machines;
mod minutes;
mod objects;
mod orders;
mod overdue;
mod pause;
mod place;
mod random;
mod reap;
mod schema;
mod usage;
mod webhooks;
mod world;

use std::future::Future;
use std::pin::Pin;
use tokio::task::JoinSet;
use world::{Databases, World};

/// A case fails by its error or by a panic.
type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

struct Case {
    name: &'static str,
    run: fn(World) -> Pin<Box<dyn Future<Output = Outcome> + Send>>,
}

macro_rules! cases {
    ($($module:ident: $($name:ident),* $(,)?;)*) => {
        &[$($(Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |world| Box::pin($module::$name(world)),
        }),*),*]
    };
}

const CASES: &[Case] = cases! {
    keys: a_key_opens_until_it_is_revoked_or_expires, a_rotated_key_opens_with_both_secrets_for_the_grace_time,
        last_use_is_written_once_a_minute, organizations_and_secrets_are_kept,
        an_answer_is_kept_under_its_idempotency_key;
    create: a_plan_limits_what_is_open, a_plan_limits_the_hours, a_profile_has_one_session, parallel_creates_stop_at_the_limit,
        everything_asked_for_is_stored, who_goes_away_leaves_no_transaction_behind;
    place: the_oldest_goes_first_to_the_fullest, organizations_take_turns, a_region_is_a_preference,
        only_fresh_ready_machines_take_sessions, what_does_not_fit_waits_and_lets_smaller_ones_pass,
        a_dedicated_session_has_its_machine_to_itself, servers_placing_at_once_never_overcommit,
        servers_placing_at_once_keep_dedicated_machines_apart, fit_is_asked_before_queueing;
    lifecycle: a_session_lives_and_ends, a_repeated_step_changes_nothing, a_step_of_another_owner_is_refused,
        an_end_that_was_asked_for_wins, a_queued_session_ends_at_once, a_proxy_is_forgotten_at_the_end, a_node_may_finish_without_ending_first,
        a_failure_has_its_reason, a_start_is_tried_four_times, what_is_the_same_everywhere_fails_at_once;
    overdue: a_slow_start_is_tried_elsewhere, waiting_has_an_end, a_missing_image_is_named, time_is_up;
    machines: a_new_machine_takes_sessions_after_its_first_beat, a_restarted_node_adopts_what_lives,
        a_rebooted_machine_lost_everything, two_nodes_with_one_identity_fence_each_other, beats_carry_traffic,
        a_node_hears_what_it_does_not_know, a_machine_that_shrank_keeps_what_it_holds;
    reap: a_silent_machine_is_lost, it_holds_after_everybody_was_silent, it_holds_when_most_machines_are_silent;
    objects: artifacts_have_keys_of_their_own, only_the_run_brings_artifacts, artifacts_expire_and_their_objects_go,
        a_profile_is_replaced_whole, a_profile_comes_from_its_owner_alone, a_profile_in_use_stays, stale_profiles_go,
        a_revoked_token_is_remembered_until_it_expires, a_way_out_is_changed_while_it_runs;
    pause: a_sandbox_pauses_and_resumes, a_paused_sandbox_moves_to_disk_and_back, pausing_has_its_states,
        limits_hold_at_resume, what_is_on_disk_starts_on_its_machine_alone, a_failed_start_from_disk_keeps_it,
        a_restarted_node_keeps_frozen_and_stored_ones, a_lost_machine_keeps_its_disks, a_stored_sandbox_ends,
        what_nobody_resumes_ends, a_stored_sandbox_keeps_nobody_out, traffic_of_all_runs_is_counted,
        resumes_at_once_stop_at_the_limit, a_resume_that_comes_too_late_starts_it_anew;
    checkpoints: a_checkpoint_is_kept_with_its_packs, only_the_run_brings_checkpoints,
        packs_are_kept_while_a_checkpoint_names_them, an_organizations_checkpoints_are_its_own,
        checkpoints_expire, checkpoints_and_their_removal_at_once, a_network_policy_is_changed_while_it_runs;
    usage: usage_is_the_sum_of_the_durations, usage_is_counted_by_period;
    minutes: minutes_are_held_and_what_was_not_used_goes_back, every_end_settles, what_never_started_costs_nothing,
        a_balance_is_never_overdrawn, an_embed_session_is_bounded_by_its_minutes_alone,
        a_clock_that_was_set_back_gives_nothing_away, a_policy_is_changed_while_it_runs;
    orders: a_payment_is_taken_once, a_top_up_goes_to_its_organization, what_nobody_pays_is_forgotten,
        payments_at_once_are_one;
    demo: a_visitor_has_one_session, a_visitor_who_left_may_come_back, an_address_has_its_share,
        visitors_at_once_have_one_each;
    events: readers_miss_nothing_and_see_no_secret, old_events_are_deleted;
    webhooks: a_webhook_is_kept_changed_and_deleted,
        a_webhook_gets_the_events_it_wants_of_its_own_organization_since_it_was_made,
        of_a_session_only_the_first_waiting_event_can_be_claimed, a_day_of_failures_is_enough,
        old_deliveries_and_those_of_deleted_webhooks_are_gone, servers_deriving_and_delivering_at_once_keep_the_order;
    health: counts_are_of_the_living, platform_errors_are_told_apart;
    schema: the_database_itself_refuses_what_must_never_be, the_ledger_refuses_what_must_never_be, it_opens_twice;
};

/// Cases under way at once.
const PARALLEL: usize = 6;

fn conform(databases: Databases) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let failed = runtime.block_on(async {
        let mut failed = Vec::new();
        let mut running = JoinSet::new();
        for case in CASES {
            if running.len() == PARALLEL {
                failed.extend(running.join_next().await.and_then(|done| done.unwrap()));
            }
            let world = World::new(&databases).await;
            running.spawn(async move {
                let outcome = tokio::spawn((case.run)(world.clone())).await;
                world.store.close().await;
                match outcome {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(format!("{}: {error}", case.name)),
                    Err(panic) => Some(format!("{}: {panic}", case.name)),
                }
            });
        }
        failed.extend(running.join_all().await.into_iter().flatten());
        failed
    });
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), CASES.len(), failed.join("\n"));
}

#[test]
fn sqlite_conforms() {
    conform(Databases::sqlite());
}

#[test]
fn postgres_conforms() {
    conform(Databases::postgres());
}
