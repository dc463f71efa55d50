//! The integration tests, one binary.

mod architecture;
mod client;
mod emulator;
mod examples;
mod metrics;
mod recordings;
mod serve;
mod support;
mod transport;
