//! What tests need beside the product. Development only: nothing of it is in the binary.

pub mod postgres;
pub mod s3;
