//! A person at the screen: what a viewer is told and what it may do.
