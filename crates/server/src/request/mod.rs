//! Reading requests: bodies within limits, fields that are named when they are wrong, queries.

pub mod body;
pub mod fields;
pub mod query;

pub use fields::Fields;
pub use query::Query;
