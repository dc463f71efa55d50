//! retaind, the retention daemon for Azure Container Registry. The modules in reading order.

pub mod clock;
pub mod model;
pub mod policy;

pub mod emulator;
