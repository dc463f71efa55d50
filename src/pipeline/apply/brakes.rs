//! What stops applying from outside: the end of the program, or a pause. Looked at before every request that changes something.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Brakes, shared by everyone who may pull them and everyone who must look at them.
#[derive(Debug, Clone, Default)]
pub struct Brakes(Arc<AtomicBool>);

impl Brakes {
    /// Brakes that are off.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing new is begun from now on; requests on their way are finished.
    pub fn pull(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether they are pulled.
    pub fn are_pulled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
