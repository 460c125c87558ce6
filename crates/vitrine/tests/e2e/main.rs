//! End to end: the real binary, real capsules, a real Chromium. Needs root and the image `standard`
//! (`vitrine image build`); a test that cannot run fails and says what is missing.

mod attacks;
mod endings;
mod first_start;
mod isolation;
mod proxies;
mod restart;
mod sessions;
mod support;
