//! What the helper could not do, in words that read after "could not".

use std::fmt;
use std::io;

/// One failed step.
#[derive(Debug)]
pub struct Failure {
    step: String,
    cause: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.step, self.cause)
    }
}

/// Names the step that failed.
pub trait Step<T> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Cause> Step<T> for Result<T, E> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure { step: step(), cause: error.words() })
    }
}

/// An error that explains itself.
pub trait Cause {
    fn words(&self) -> String;
}

macro_rules! cause {
    ($($error:ty),+) => { $(impl Cause for $error { fn words(&self) -> String { self.to_string() } })+ };
}

cause!(io::Error, rustix::io::Errno, serde_json::Error, seccompiler::Error, landlock::RulesetError, &str);
