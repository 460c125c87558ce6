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
mod previews;
mod receiver;
mod sandbox_files;
mod sandbox_machine;
mod sandbox_objects;
mod sandboxes;
mod support;
mod terminals;
mod transport;
mod webhooks;
mod wrong;
