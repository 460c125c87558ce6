//! Every SQL statement: one store over SQLite (embedded) or PostgreSQL (scaled out), with the same guards and transitions.
//!
//! Assumes that the caller owns the clock (`now` comes in with every call) and the randomness (ids come in). Promises that
//! a session moves only by [`vitrine_model::Status::on`], that every write of a machine carries `(machine, epoch,
//! generation)` and is refused once any of them has moved on, that a machine's counters, the minutes that pay and the events
//! are written in the transaction of the move itself, and that both databases answer the same.

mod api_key;
mod artifact;
mod backend;
mod checkpoint;
mod create;
mod delivery;
mod demo;
mod egress;
mod end;
mod error;
mod event;
mod health;
mod idempotency;
mod loose;
mod machine;
mod migrations;
mod minutes;
mod moves;
mod objects;
mod order;
mod organization;
mod overdue;
mod pack;
mod pause;
mod place;
mod policy;
mod profile;
mod reap;
mod secret;
mod session;
mod step;
mod token;
mod usage;
mod webhook;
mod work;

pub use api_key::{ApiKey, NewApiKey};
pub use artifact::{Artifact, Bringing, NewArtifact};
pub use backend::{Location, Store, StoreOptions};
pub use checkpoint::{Checkpoint, NewCheckpoint};
pub use create::{CreateLimits, NewSession, Refused};
pub use delivery::{Attempt, Claimed, Delivery, Verdict};
pub use demo::{DEMO_VISITS_KEPT_MS, DemoLimits, DemoMade, DemoRefused, DemoVisit, DemoVisitor};
pub use error::{Result, StoreError};
pub use event::Event;
pub use health::{Counts, RecentEnds};
pub use idempotency::{Claim, SavedAnswer};
pub use machine::{Machine, MachineState, Registration};
pub use minutes::{Balance, Ended, Movement};
pub use objects::{Bucket, ObjectError, ObjectKey, Objects, ObjectsLocation, Presented};
pub use order::{NewOrder, Order, OrderStatus, Paid};
pub use organization::Organization;
pub use pack::{NewPack, Pack};
pub use pause::NotResumed;
pub use place::{Fit, PlaceOptions, Placed};
pub use profile::{NewProfile, Profile, Removal};
pub use reap::{ReapOptions, Reaped};
pub use session::{Session, SessionError};
pub use usage::{Usage, UsageRecord, WeightCounts};
pub use webhook::{Webhook, WebhookChange};

/// Starts on a machine before a session is given up.
pub const ATTEMPTS_MAX: i64 = 4;
