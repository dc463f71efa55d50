//! The integration tests, one binary.

mod apply;
mod architecture;
mod audit;
mod binary;
mod client;
mod crash;
mod daemon;
mod emulator;
mod estate;
mod examples;
mod laws;
mod leash;
mod lookahead;
mod metrics;
mod oracle;
mod policy_tests;
mod recordings;
mod scenarios;
mod schedule;
mod serve;
mod stage;
mod support;
mod teams;
mod transport;
mod warnings;
mod worlds;
