//! The cloud API's contract, over real HTTP on loopback, with a SQLite store and a node that speaks the wire types.

mod admin;
mod browsers;
mod carried;
mod deliveries;
mod document;
mod keys;
mod lifecycle;
mod machine;
mod node;
mod plans;
mod postgres;
mod receiver;
mod support;
mod transport;
mod webhooks;
mod wrong;
