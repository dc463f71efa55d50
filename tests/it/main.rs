//! The integration tests, one binary.

mod architecture;
mod emulator;
mod examples;
