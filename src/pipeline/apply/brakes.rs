//! What stops applying from outside: the end of the program, or a pause. Looked at before every request that changes something.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Brakes, shared by everyone who may pull them and everyone who must look at them.
#[derive(Debug, Clone, Default)]
pub struct Brakes(Arc<Lever>);

#[derive(Debug, Default)]
struct Lever {
    pulled: AtomicBool,
    /// While this file exists, they are on: another process pauses deleting with it. A look costs a microsecond, a delete
    /// milliseconds.
    pause_file: Option<PathBuf>,
    /// Changes on their way. Closed when the brakes are pulled, which is when somebody may wait for the last one.
    changes: TaskTracker,
}

impl Brakes {
    /// Brakes that are off.
    pub fn new() -> Self {
        Self::default()
    }

    /// Brakes that are on while this file exists, too.
    pub fn with_pause_file(file: PathBuf) -> Self {
        Self(Arc::new(Lever { pause_file: Some(file), ..Lever::default() }))
    }

    /// Nothing new is begun from now on; requests on their way are finished.
    pub fn pull(&self) {
        self.0.pulled.store(true, Ordering::Release);
        self.0.changes.close();
    }

    /// Notes that a change is on its way until the token is dropped. Taken before the brakes are looked at: whoever pulls them then
    /// either stops the change or waits for it.
    pub(super) fn change_on_its_way(&self) -> TaskTrackerToken {
        self.0.changes.token()
    }

    /// Waits until the brakes are pulled and no change is on its way any more. What a run still does then only reads.
    pub async fn settled(&self) {
        self.0.changes.wait().await;
    }

    /// Whether nothing may be begun: they were pulled, or deleting is paused.
    pub fn are_on(&self) -> bool {
        self.were_pulled() || self.are_held_by_a_pause()
    }

    /// Whether they were pulled: whoever did so wants this to end.
    pub fn were_pulled(&self) -> bool {
        self.0.pulled.load(Ordering::Acquire)
    }

    /// Whether deleting is paused; planning goes on.
    pub fn are_held_by_a_pause(&self) -> bool {
        self.0.pause_file.as_deref().is_some_and(is_there)
    }
}

/// The file that pauses deleting while it exists: `retaind pause` makes it, `retaind resume` removes it.
pub fn pause_file(state_dir: &Path) -> PathBuf {
    state_dir.join("paused")
}

/// Unknown means paused: only a plain "not found" says that the file is not there.
fn is_there(file: &Path) -> bool {
    file.try_exists().unwrap_or(true)
}
