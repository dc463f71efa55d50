//! The stages of a run, in order. Everything is decided as a value first; only `apply` writes.

pub mod apply;
pub mod evaluate;
pub mod guard;
pub mod plan;
pub mod report;
