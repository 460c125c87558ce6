//! The embed platform, `/api/…`: sessions that minutes pay for, what they cost, and how they are bought. One folder for each
//! resource, one file for each verb.
//!
//! It promises the embed dialect of errors (`answer`) on every path under `/api/`, and that a session's minutes are deducted
//! in the transaction that records it and settled in the one that ends it: both are the store's.

pub mod answer;
mod assets;
pub mod balance;
pub mod checkout;
pub mod config;
pub mod demo;
pub mod framing;
pub mod geo;
mod login;
mod page;
mod page_files;
mod pages;
pub mod pricing;
pub mod routing;
mod sender;
pub mod sessions;
mod trouble;

use crate::app::App;
use axum::Router;

/// The routes that are no operations of the API document: pages, and what other services call.
pub fn router(app: &App) -> Router<App> {
    checkout::router(app).merge(pages::router(app)).merge(demo::router(app))
}
