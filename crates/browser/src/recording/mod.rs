//! An MP4 of a session, playable whatever dies.
//!
//! Assumes H.264 pictures of a screen, with parameter sets in each key picture, and times since the recording began.
//! Promises that no picture is encoded again; that the file plays at any moment, also when the process was killed in the
//! middle of a write; that stillness keeps its length and costs no bytes; and that a finished file has its whole header,
//! with chapters, in front. Pictures keep their own sizes: a player fits a tab of another size into its frame.

mod avc;
mod boxes;
mod finalise;
mod follow;
mod fragment;
mod movie;
mod recorder;
mod scan;

pub use finalise::{Finished, finalise};
pub use follow::Recording;
pub use recorder::{
    BYTES_MAX, CHAPTERS_MAX, FRAGMENT_BYTES_MAX, FRAGMENT_LIMIT, Recorder, RecordingError, TITLE_BYTES_MAX,
};
