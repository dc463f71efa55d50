//! The daemon: runs every policy at its time.

pub mod schedule;
