//! One picture of a tab, coded once and shared by all who look at it.

use bytes::Bytes;
use std::time::Duration;

/// How a picture is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// An access unit of H.264, Annex B; a key picture carries its parameter sets.
    H264,
    /// A whole JPEG.
    Jpeg,
}

/// One picture. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Picture {
    pub coding: Coding,
    /// Can be decoded without any picture before it. Always so for JPEG.
    pub key: bool,
    /// No later picture needs it: may be left out for a viewer that is slow.
    pub droppable: bool,
    /// Counts the encoder's pictures; a gap means that some were left out.
    pub sequence: u32,
    /// When Chromium painted it, since the screen's first picture.
    pub at: Duration,
    /// Of the coded picture, in pixels.
    pub width: u16,
    pub height: u16,
    pub data: Bytes,
}
