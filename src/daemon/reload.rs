//! Watches the files by their content: whatever way they are changed (an editor, a kubelet's swap of links, a network drive), the same
//! bytes are the same files. Does not decide what a change means.

use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::config::{Configuration, Problems};

use super::RELOAD_EVERY;

/// What the files say that is new.
pub(super) enum Reloaded {
    /// They changed and are valid.
    Valid(Box<Configuration>),
    /// They are the ones in use again, after they were not valid for a while.
    Restored,
    /// They are not valid.
    Invalid(Problems),
    /// They are as they were, for somebody who asked.
    Unchanged,
}

/// Looks at the files every [`RELOAD_EVERY`], and at once when told to, and tells what is new.
///
/// Valid changes are believed when two looks in a row see the same, because editors write in pieces; invalid ones at once, because what
/// follows from them is only that nothing is deleted.
pub(super) async fn watch(config: PathBuf, in_use: [u8; 32], mut now: mpsc::Receiver<()>, tell: mpsc::Sender<Reloaded>) {
    let mut seen = Seen { in_use, candidate: None, problem: None };
    let mut told_to = false;
    loop {
        let sleep = if seen.candidate.is_some() { RELOAD_EVERY / 5 } else { RELOAD_EVERY };
        tokio::select! {
            Some(()) = now.recv() => told_to = true,
            () = tokio::time::sleep(sleep) => {}
        }
        let path = config.clone();
        let Ok(loaded) = tokio::task::spawn_blocking(move || Configuration::load(&path)).await else { continue };
        let asked = std::mem::take(&mut told_to);
        let new = seen.look(loaded, asked).or(asked.then_some(Reloaded::Unchanged));
        if let Some(new) = new
            && tell.send(new).await.is_err()
        {
            return;
        }
    }
}

struct Seen {
    in_use: [u8; 32],
    /// Valid files that were seen once.
    candidate: Option<[u8; 32]>,
    problem: Option<String>,
}

impl Seen {
    fn look(&mut self, loaded: Result<Configuration, Problems>, believe_at_once: bool) -> Option<Reloaded> {
        let configuration = match loaded {
            Ok(configuration) => configuration,
            Err(problems) => {
                self.candidate = None;
                let problem = problems.to_string();
                let is_new = self.problem.as_ref() != Some(&problem);
                self.problem = Some(problem);
                return is_new.then_some(Reloaded::Invalid(problems));
            }
        };
        let hash = configuration.content_hash;
        if hash == self.in_use {
            self.candidate = None;
            return self.problem.take().map(|_| Reloaded::Restored);
        }
        if self.candidate != Some(hash) && !believe_at_once {
            self.candidate = Some(hash);
            return None;
        }
        self.candidate = None;
        self.problem = None;
        self.in_use = hash;
        Some(Reloaded::Valid(Box::new(configuration)))
    }
}
