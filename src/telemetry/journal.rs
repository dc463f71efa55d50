//! Log lines for systemd's journal: a priority that `journalctl -p` understands, no time (the journal has its own), and text rather than
//! JSON, because a person reads them. Knows nothing of what is logged.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Full, Writer};
use tracing_subscriber::registry::LookupSpan;

/// The variable in which systemd names the socket that leads to the journal: its device and inode.
const VARIABLE: &str = "JOURNAL_STREAM";

/// Whether standard error leads to the journal. The variable alone says little: a child inherits it, with its output elsewhere.
pub(super) fn listens() -> bool {
    let named = std::env::var(VARIABLE).ok();
    let own = fs::metadata("/proc/self/fd/2").ok().map(|metadata| format!("{}:{}", metadata.dev(), metadata.ino()));
    named.is_some() && named == own
}

/// Writes an event as lines for the journal.
pub(super) struct Lines(Format<Full, ()>);

impl Lines {
    pub(super) fn new() -> Self {
        Self(Format::default().without_time().with_level(false).with_target(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        prefixed(&mut writer, priority(*event.metadata().level()), &text)
    }
}

/// Each line with its priority: the journal takes every line as a message of its own.
fn prefixed(out: &mut impl fmt::Write, priority: u8, text: &str) -> fmt::Result {
    text.lines().filter(|line| !line.trim().is_empty()).try_for_each(|line| writeln!(out, "<{priority}>{line}"))
}

/// The priorities of syslog.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_priority() {
        let mut out = String::new();
        prefixed(&mut out, priority(Level::ERROR), "the files are not valid\nci.yaml:1:1: error: what\n\n  here\n").unwrap();
        assert_eq!(out, "<3>the files are not valid\n<3>ci.yaml:1:1: error: what\n<3>  here\n");
    }
}
