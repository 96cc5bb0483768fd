//! The platform's own lines around a call, and the tail that a caller may ask for.

use std::time::Duration;

use uuid::Uuid;

use super::Outcome;
use crate::local::process::{LogRing, Stream};

/// What is written when a call has ended.
pub(super) struct Report<'a> {
    pub(super) id: Uuid,
    pub(super) outcome: &'a Outcome,
    pub(super) took: Duration,
    pub(super) init: Option<Duration>,
    pub(super) memory: u64,
    pub(super) size: u32,
}

impl Report<'_> {
    pub(super) fn write(&self, logs: &LogRing) {
        let Self {
            id,
            outcome,
            took,
            init,
            memory,
            size,
        } = self;
        if let Outcome::Failed { kind, .. } = outcome
            && kind == "Sandbox.Timedout"
        {
            let seconds = took.saturating_sub(init.unwrap_or_default()).as_secs_f64();
            logs.push(
                Stream::Platform,
                &format!("{id} Task timed out after {seconds:.2} seconds"),
            );
        }
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let run = took.saturating_sub(init.unwrap_or_default());
        let mut line = format!(
            "REPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: {:.0} ms\tMemory Size: {size} MB\tMax Memory Used: {} MB",
            millis(run),
            millis(*took).ceil(),
            memory >> 20,
        );
        if let Some(init) = init {
            line += &format!("\tInit Duration: {:.2} ms", millis(*init));
        }
        if let Outcome::Failed { kind, .. } = outcome
            && !kind.is_empty()
        {
            line += &format!("\tStatus: error\tError Type: {kind}");
        }
        logs.push(Stream::Platform, &format!("END RequestId: {id}"));
        logs.push(Stream::Platform, &line);
    }
}

/// The last four kibibytes of what one call wrote: its process's lines between the platform's own.
pub(super) fn tail(own: Option<&LogRing>, all: &LogRing, id: Uuid) -> String {
    const TAIL: usize = 4 * 1024;
    let id = id.to_string();
    let mut text = String::new();
    let lines = all.lines();
    let mut platform = lines
        .iter()
        .filter(|line| line.stream == Stream::Platform && line.text.contains(&id));
    if let Some(start) = platform.next() {
        text += &format!("{}\n", start.text);
    }
    for line in own.map(LogRing::lines).unwrap_or_default() {
        text += &format!("{}\n", line.text);
    }
    for line in platform {
        text += &format!("{}\n", line.text);
    }
    let mut from = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.split_off(from)
}
