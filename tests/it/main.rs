//! The integration tests, one binary.

mod apply;
mod architecture;
mod audit;
mod binary;
mod client;
mod crash;
mod emulator;
mod estate;
mod examples;
mod laws;
mod leash;
mod oracle;
mod recordings;
mod scenarios;
mod schedule;
mod stage;
mod support;
mod transport;
mod worlds;
