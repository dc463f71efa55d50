//! The stages of a run, in order. Everything is decided as a value first; only `apply` writes.

pub mod inventory;
pub mod evaluate;
pub mod plan;
pub mod guard;
pub mod apply;
pub mod report;
