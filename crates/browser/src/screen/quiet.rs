//! Keeps the encoder from writing to our standard error: it warns of every choice of ours when it starts, before its own level can be
//! set by safe means. The only unsafe code of this crate.

use openh264::encoder::Encoder;
use std::ffi::c_int;

/// `ENCODER_OPTION_TRACE_LEVEL` of the encoder's `codec_app_def.h`.
const TRACE_LEVEL: c_int = 25;
/// `WELS_LOG_QUIET`.
const QUIET: c_int = 0;

/// For an encoder that has not encoded anything.
#[expect(unsafe_code, reason = "the safe interface sets the level only after the warnings")]
pub fn silence(encoder: &mut Encoder) {
    let mut level = QUIET;
    // SAFETY: the encoder exists, this option is one of the three that it takes before it is initialized, it reads one `int`
    // from the pointer and keeps no copy of it. Nothing of what the safe interface relies on is changed.
    unsafe {
        encoder.raw_api().set_option(TRACE_LEVEL, (&raw mut level).cast());
    }
}
