//! retaind, the retention daemon for Azure Container Registry. The modules in reading order.

pub mod acr;
pub mod clock;
pub mod config;
pub mod model;
pub mod pipeline;
pub mod policy;
pub mod state;

pub mod emulator;
