//! A profile that outlives its session: what is kept, packed and unpacked.
