//! An MP4 of a session, playable whatever dies.
