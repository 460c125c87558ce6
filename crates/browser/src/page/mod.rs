//! The methods, events and policy of the embed API, as the page of an embed session asks for them over the live view.
//!
//! Assumes a viewer that may call (who may was decided before) and tabs that are attended. Promises that a policy holds whatever a
//! client sends and however a page gets somewhere; that a call takes no longer than its limit and does its effect once for one
//! id; that no page notices or changes what is asked of it, but for `evaluate`, which runs in the page's own world; and that
//! what pages say is bounded.

mod act;
mod arguments;
mod call;
mod capture;
mod chronicle;
mod failure;
mod guard;
mod life;
mod memory;
mod method;
mod modals;
mod narrate;
mod navigate;
mod rules;
mod select;
mod slate;
mod tabs;
mod typing;
mod world;

pub(crate) use call::{Asked, CALLS_WAITING_MAX, Caller};
pub(crate) use chronicle::Chronicle;
pub(crate) use failure::Failure;
pub(crate) use guard::run as guard;
pub(crate) use life::{Life, Teller, listen};
pub(crate) use memory::Memory;
pub(crate) use narrate::{narrate, policy};
pub(crate) use rules::refusal;
