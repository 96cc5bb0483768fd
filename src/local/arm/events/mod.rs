//! What sets functions off by itself: messages in queues, and clocks.
//!
//! # Guarantees
//!
//! - Only the app that has a slot's place listens, and only for functions that its settings do not switch off. Where another takes its
//!   place, what it has begun is finished first, or the message comes back.
//! - A message is deleted only after its function ended well: none is lost, and where a function or its process fails it is tried again.

mod binding;
mod message;
mod queues;
mod schedule;
mod timers;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{local::arm::cloud::Cloud, name::Timestamp};

/// Azure's host looks this often only while messages keep coming; here nobody pays for looking.
const PAUSE: Duration = Duration::from_millis(100);

/// What one app has under way, by function.
#[derive(Default)]
pub(super) struct Listening(Mutex<BTreeMap<String, Ear>>);

/// The tokens count by their copies.
#[derive(Clone, Default)]
struct Ear {
    reading: Arc<()>,
    under_way: Arc<()>,
    /// An app that did not start is left alone until then.
    rests: Option<Timestamp>,
}

impl Listening {
    fn of(&self, function: &str) -> Ear {
        let mut ears = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ears.entry(function.to_owned()).or_default().clone()
    }

    fn rest(&self, function: &str, until: Timestamp) {
        let mut ears = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ears.entry(function.to_owned()).or_default().rests = Some(until);
    }
}

impl Ear {
    /// How many hold a token beside the app, and the copy that was looked at.
    fn others(token: &Arc<()>) -> usize {
        Arc::strong_count(token).saturating_sub(2)
    }
}

/// Runs until the endpoint stops.
pub(super) async fn deliver(cloud: Arc<Cloud>) {
    let mut last = cloud.clock.now();
    let stop = cloud.stop.clone();
    while (stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await).is_some() {
        let now = cloud.clock.now();
        for (key, app) in cloud.doors.each() {
            if app.parts.running {
                queues::look(&cloud, &key, &app, now);
                timers::look(&cloud, &key, &app, (last, now));
            }
        }
        last = now;
    }
}
