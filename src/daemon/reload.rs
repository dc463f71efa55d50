//! Watches the files by their content: whatever way they are changed (an editor, a kubelet's swap of links, a network drive), the same
//! bytes are the same files. Does not decide what a change means.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::{BrokenScope, Configuration, Loaded, Problems};

use super::RELOAD_EVERY;

/// What the files say that is new.
pub(super) enum Reloaded {
    /// They changed and are valid, all but these.
    Valid(Arc<Configuration>, Vec<BrokenScope>),
    /// What is valid of them is in use, and these are not valid, unlike before.
    Broken(Vec<BrokenScope>),
    /// They are the ones in use again, after they were not valid for a while.
    Restored,
    /// They are not valid, and that matters everywhere.
    Invalid(Problems),
    /// They are as they were, for somebody who asked.
    Unchanged,
}

/// Looks at the files every [`RELOAD_EVERY`], and at once when told to, and tells what is new.
///
/// Valid changes are believed when two looks in a row see the same, because editors write in pieces; invalid ones at once, because what
/// follows from them is only that nothing is deleted.
pub(super) async fn watch(config: PathBuf, in_use: Arc<Configuration>, mut now: mpsc::Receiver<()>, tell: mpsc::Sender<Reloaded>) {
    let mut seen = Seen { in_use, candidate: None, told: Told::Valid };
    let mut told_to = false;
    loop {
        let sleep = if seen.candidate.is_some() { RELOAD_EVERY / 5 } else { RELOAD_EVERY };
        tokio::select! {
            Some(()) = now.recv() => told_to = true,
            () = tokio::time::sleep(sleep) => {}
        }
        let (path, in_use) = (config.clone(), Arc::clone(&seen.in_use));
        let Ok(loaded) = tokio::task::spawn_blocking(move || Configuration::load_beside(&path, &in_use)).await else { continue };
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
    in_use: Arc<Configuration>,
    /// Valid files that were seen once.
    candidate: Option<[u8; 32]>,
    told: Told,
}

/// What was told last of what is not valid.
#[derive(PartialEq, Eq)]
enum Told {
    Valid,
    /// Where, and what is wrong.
    Broken(Vec<(Vec<String>, String)>),
    Invalid(String),
}

impl Seen {
    fn look(&mut self, loaded: Result<Loaded, Problems>, believe_at_once: bool) -> Option<Reloaded> {
        let Loaded { configuration, broken } = match loaded {
            Ok(loaded) => loaded,
            Err(problems) => {
                self.candidate = None;
                return self.tells(Told::Invalid(problems.to_string())).then_some(Reloaded::Invalid(problems));
            }
        };
        let hash = configuration.content_hash;
        if hash == self.in_use.content_hash {
            self.candidate = None;
            let is_new = self.tells(Told::about(&broken));
            return is_new.then_some(if broken.is_empty() { Reloaded::Restored } else { Reloaded::Broken(broken) });
        }
        if self.candidate != Some(hash) && !believe_at_once {
            self.candidate = Some(hash);
            if self.told.covers(&broken) {
                return None;
            }
            // Where it matters that something is broken is said by settings that are to be believed only at the next look.
            let problems = Problems::of(broken.iter().flat_map(|broken| broken.problems.iter()).cloned().collect())?;
            return self.tells(Told::Invalid(problems.to_string())).then_some(Reloaded::Invalid(problems));
        }
        self.candidate = None;
        self.told = Told::about(&broken);
        self.in_use = Arc::new(configuration);
        Some(Reloaded::Valid(Arc::clone(&self.in_use), broken))
    }

    /// Takes note of what is told; whether that is new.
    fn tells(&mut self, told: Told) -> bool {
        std::mem::replace(&mut self.told, told) != self.told
    }
}

impl Told {
    fn about(broken: &[BrokenScope]) -> Self {
        let scope = |broken: &BrokenScope| (texts(broken), broken.problems.to_string());
        if broken.is_empty() { Self::Valid } else { Self::Broken(broken.iter().map(scope).collect()) }
    }

    /// Whether deleting is suspended already wherever these matter.
    fn covers(&self, broken: &[BrokenScope]) -> bool {
        match self {
            Self::Valid => broken.is_empty(),
            Self::Broken(told) => broken.iter().all(|broken| told.iter().any(|(repositories, _)| *repositories == texts(broken))),
            Self::Invalid(_) => true,
        }
    }
}

fn texts(broken: &BrokenScope) -> Vec<String> {
    broken.repositories.iter().map(|pattern| pattern.as_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve_texts;
    use crate::policy::Pattern;

    const SETTINGS: &str = "version: 1\nregistries: [{ name: contoso, endpoint: https://contoso.azurecr.io }]\npolicies: policies\n";

    fn text(older_than: &str) -> String {
        let rule = format!("rules: [{{ name: old, delete: {{ untagged: true, older_than: {older_than} }} }}]");
        format!("version: 1\npolicies:\n  - {{ name: ci, mode: enforce, repositories: {{ include: [\"**\"] }}, {rule} }}\n")
    }

    fn valid(older_than: &str) -> Configuration {
        resolve_texts(("retaind.yaml", SETTINGS), &[("ci.yaml", &text(older_than))]).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn broken(team: &str) -> BrokenScope {
        let problems = resolve_texts(("retaind.yaml", SETTINGS), &[(&format!("{team}.yaml"), "")]).expect_err("an empty file");
        BrokenScope { repositories: vec![Pattern::parse(&format!("{team}/**")).expect("a glob")], problems }
    }

    /// What is told of files seen one after the other: each with the age that they say, and the teams whose files are broken.
    #[track_caller]
    fn check(looks: &[(&str, &[&str], &str)]) {
        let mut seen = Seen { in_use: Arc::new(valid("7d")), candidate: None, told: Told::Valid };
        for (number, (older_than, teams, expected)) in looks.iter().enumerate() {
            let loaded = Loaded { configuration: valid(older_than), broken: teams.iter().copied().map(broken).collect() };
            let told = seen.look(Ok(loaded), false).map_or("nothing", |told| match told {
                Reloaded::Valid(..) => "valid",
                Reloaded::Broken(_) => "broken",
                Reloaded::Restored => "restored",
                Reloaded::Invalid(_) => "invalid",
                Reloaded::Unchanged => "unchanged",
            });
            assert_eq!(told, *expected, "look {number} of {looks:?}");
        }
    }

    #[test]
    fn a_broken_file_is_told_at_once_and_an_edit_beside_it_at_the_second_look() {
        check(&[("7d", &["a"], "broken"), ("7d", &["a"], "nothing"), ("8d", &["a"], "nothing"), ("8d", &["a"], "valid")]);
        check(&[("7d", &["a"], "broken"), ("7d", &["a", "b"], "broken"), ("7d", &["b"], "broken"), ("7d", &[], "restored")]);
    }

    /// The scopes of an edit that may be half written are not believed yet.
    #[test]
    fn what_breaks_within_an_edit_matters_everywhere_until_the_second_look() {
        check(&[("8d", &["a"], "invalid"), ("8d", &["a"], "valid"), ("8d", &[], "restored")]);
        check(&[("7d", &["a"], "broken"), ("8d", &["a", "b"], "invalid"), ("8d", &["a", "b"], "valid")]);
        check(&[("8d", &["a"], "invalid"), ("9d", &["a"], "nothing"), ("7d", &["a"], "broken")]);
    }

    #[test]
    fn a_repaired_file_ends_no_suspension_before_it_is_believed() {
        check(&[
            ("7d", &["a", "b"], "broken"),
            ("8d", &["b"], "nothing"),
            ("8d", &["b"], "valid"),
            ("9d", &[], "nothing"),
            ("9d", &[], "valid"),
        ]);
    }
}
