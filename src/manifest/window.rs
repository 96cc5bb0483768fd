//! Promotion windows: times at which a rollout may go to blue, or may not.

use std::{fmt, str::FromStr, time::Duration};

use croner::{Cron, errors::CronError};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::name::Timestamp;

/// A stretch of time that comes back: it opens whenever the schedule says, and stays open for `length`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    pub effect: WindowEffect,
    /// Cron expression of five fields, by the clocks of `time_zone`.
    pub schedule: String,
    /// As time passes, not as clocks show it: eight hours are eight hours when summer time begins, too.
    pub length: Duration,
    /// A name of the IANA database: `Europe/Brussels`.
    pub time_zone: String,
    /// For people who meet it closed.
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowEffect {
    /// Where any window allows, promotions wait outside all of those.
    Allow,
    /// Promotions wait inside it, whatever else allows them.
    Deny,
}

impl WindowEffect {
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// `deny 0 0 20 12 * for 14d, Europe/Brussels (end of year)`
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            effect,
            schedule,
            length,
            time_zone,
            reason,
        } = self;
        let length = length_text(*length);
        write!(
            f,
            "{} `{schedule}` for {length}, {time_zone}",
            effect.word()
        )?;
        match reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

impl Window {
    /// Reads its schedule, once for all that is asked of it: reading costs far more than asking. None where it is not valid.
    pub fn times(&self) -> Option<Times> {
        Some(Times {
            cron: cron(&self.schedule).ok()?,
            zone: zone(&self.time_zone)?,
            length: self.length,
        })
    }
}

/// When a window opens and closes.
pub struct Times {
    cron: Cron,
    zone: TimeZone,
    length: Duration,
}

impl Times {
    /// Its newest opening that is not after `now`, and the end of that; none where it never opened.
    pub fn opened(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let start = self.cron.find_previous_occurrence(&self.zoned(now)?, true);
        let start = Timestamp::from_millis(start.ok()?.timestamp().as_millisecond());
        Some((start, start.after(self.length)))
    }

    /// Its next opening after `now`; none where it never opens again.
    pub fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        let start = self.cron.find_next_occurrence(&self.zoned(now)?, false);
        let start = start.ok()?.timestamp().as_millisecond();
        Some(Timestamp::from_millis(start))
    }

    /// When the opening that `now` is inside of ends; none outside.
    pub fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let (_, end) = self.opened(now)?;
        (now < end).then_some(end)
    }

    fn zoned(&self, now: Timestamp) -> Option<jiff::Zoned> {
        let moment = jiff::Timestamp::from_millisecond(now.millis()).ok()?;
        Some(moment.to_zoned(self.zone.clone()))
    }
}

fn cron(text: &str) -> Result<Cron, CronError> {
    Cron::from_str(text)
}

/// As manifests write it: `1d12h`, `90s`.
pub(super) fn length_text(length: Duration) -> String {
    const UNITS: [(u128, &str); 5] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
        (1, "ms"),
    ];
    let mut rest = length.as_millis();
    let mut text = String::new();
    for (unit, name) in UNITS {
        if rest >= unit {
            text += &format!("{}{name}", rest / unit);
            rest %= unit;
        }
    }
    text
}

/// What is wrong with a schedule that has the right form, if anything is.
pub(super) fn schedule_fault(schedule: &str) -> Option<String> {
    let never = "names a day that never comes";
    match cron(schedule) {
        Err(error) => Some(error.to_string()),
        Ok(cron) => {
            let start = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
            let first = cron.find_next_occurrence(&start, true);
            first.is_err().then(|| never.to_owned())
        }
    }
}

/// Whether a time zone is known, and the names that there are.
pub(super) fn is_zone(name: &str) -> bool {
    zone(name).is_some()
}

pub(super) fn zones() -> Vec<String> {
    let names = TimeZoneDatabase::bundled();
    names.available().map(|name| name.to_string()).collect()
}

/// A time zone of the database that is built in, so that no machine lacks it and none has another.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}
