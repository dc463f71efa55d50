//! Real conversations with registries, replayed both ways: their requests against the emulator, their answers against the client.
//!
//! They are not part of this repository. `RETAIND_RECORDINGS` names the folder that holds them; without it there is nothing to replay, and the
//! tests say so and pass. Where the two sides disagree stands in `docs/emulator.md`, section "Differences".

mod answers;
mod differences;
mod flow;
mod player;
mod requests;
mod world;

use std::path::PathBuf;

use self::flow::Flow;

/// The recordings, if there are any.
fn recordings() -> Option<Vec<Flow>> {
    let Some(folder) = std::env::var_os("RETAIND_RECORDINGS") else {
        println!("RETAIND_RECORDINGS names no folder, so there are no recordings to replay");
        return None;
    };
    let flows = flow::read_all(&PathBuf::from(folder));
    assert!(!flows.is_empty(), "RETAIND_RECORDINGS names a folder without recordings");
    Some(flows)
}
