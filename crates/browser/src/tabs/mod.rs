//! The tabs of a browser: which there are, what they show, which is in front.
