//! The integration tests, one binary.

mod architecture;
mod client;
mod examples;
mod support;
mod transport;
