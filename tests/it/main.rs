//! The integration tests, one binary.

mod architecture;
mod client;
mod emulator;
mod examples;
mod recordings;
mod schedule;
mod support;
mod transport;
