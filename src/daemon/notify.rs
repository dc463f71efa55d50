//! What systemd is told: ready, alive, stopping, and one line about what goes on. Nothing happens where no systemd listens.

use sd_notify::NotifyState;

pub(super) fn ready(summary: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(summary)]);
}

/// The watchdog is fed by the scheduler's own heartbeat and by nothing else.
pub(super) fn alive(summary: &str) {
    tell(&[NotifyState::Watchdog, NotifyState::Status(summary)]);
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Without a socket it does nothing; a socket that does not listen is systemd's affair, and it will restart us.
    let _ = sd_notify::notify(states);
}
