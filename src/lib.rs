//! retaind, the retention daemon for Azure Container Registry. The modules in reading order.

pub mod clock;
pub mod layout;
pub mod model;
pub mod policy;
pub mod pipeline;
pub mod acr;
pub mod config;
pub mod state;
pub mod telemetry;
pub mod serve;
pub mod daemon;
pub mod cli;

pub mod emulator;
