//! The integration tests, one binary.

mod apply;
mod architecture;
mod audit;
mod binary;
mod blobs;
mod client;
mod crash;
mod daemon;
mod emulator;
mod estate;
mod examples;
mod laws;
mod leash;
mod metrics;
mod network;
mod oracle;
mod recordings;
mod scenarios;
mod schedule;
mod serve;
mod stage;
mod support;
mod transport;
mod worlds;
