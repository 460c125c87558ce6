//! A HAR file of a session.
