//! The integration tests, one binary.

mod architecture;
mod client;
mod emulator;
mod examples;
mod recordings;
mod support;
mod transport;
mod worlds;
mod oracle;
mod laws;
mod audit;
