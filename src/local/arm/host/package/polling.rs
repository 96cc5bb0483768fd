//! How a package's functions read queues: `extensions.queues` of host.json. Pure.

use std::time::Duration;

use serde::Deserialize;

use super::parse_timeout;

/// Messages that Azure gives out at once.
const BATCH_MAX: usize = 32;

/// What host.json says of queues, and what the host does where it says nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::local::arm) struct Polling {
    /// Messages that are read at once.
    pub batch: usize,
    /// So few may still be under way when the next are read.
    pub threshold: usize,
    /// How long a message waits that failed.
    pub pause: Duration,
    /// Tries of one message, before it goes to the poison queue.
    pub tries: u32,
    /// Whether messages are base64.
    pub encoded: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawQueues {
    batch_size: Option<usize>,
    new_batch_threshold: Option<usize>,
    visibility_timeout: Option<String>,
    max_dequeue_count: Option<u32>,
    message_encoding: Option<String>,
}

impl From<RawQueues> for Polling {
    fn from(raw: RawQueues) -> Self {
        let RawQueues {
            batch_size,
            new_batch_threshold,
            visibility_timeout,
            max_dequeue_count,
            message_encoding,
        } = raw;
        let batch = batch_size.unwrap_or(16).clamp(1, BATCH_MAX);
        let pause = visibility_timeout.as_deref().and_then(parse_timeout);
        Self {
            batch,
            threshold: new_batch_threshold.unwrap_or(batch / 2),
            pause: pause.unwrap_or_default(),
            tries: max_dequeue_count.unwrap_or(5).max(1),
            encoded: !message_encoding.is_some_and(|it| it.eq_ignore_ascii_case("none")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Polling {
        serde_json::from_str::<RawQueues>(text).unwrap().into()
    }

    #[test]
    fn what_is_not_said_is_as_azure_has_it() {
        let expected = Polling {
            batch: 16,
            threshold: 8,
            pause: Duration::ZERO,
            tries: 5,
            encoded: true,
        };
        assert_eq!(read("{}"), expected);
    }

    #[test]
    fn what_is_said_counts_within_bounds() {
        let text = r#"{"batchSize": 99, "newBatchThreshold": 0, "visibilityTimeout": "00:00:30", "maxDequeueCount": 2,
            "messageEncoding": "none", "maxPollingInterval": "00:00:02"}"#;
        let expected = Polling {
            batch: BATCH_MAX,
            threshold: 0,
            pause: Duration::from_secs(30),
            tries: 2,
            encoded: false,
        };
        assert_eq!(read(text), expected);
    }
}
