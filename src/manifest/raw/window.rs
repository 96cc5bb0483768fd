//! Promotion windows, as written.

use schemars::JsonSchema;

use super::{
    read::{At, Entries, Read, Report},
    scalar::{Cron, Length},
};
use crate::manifest::yaml::{Node, Place};

record! {
    /// A stretch of time that comes back: exactly one of `allow` and `deny`, and how long it lasts.
    WindowText needs ["for"] {
        /// Cron expression of five fields: promotions wait outside all windows that allow.
        "allow" allow: Cron,
        /// Cron expression of five fields: promotions wait inside.
        "deny" deny: Cron,
        /// How long it stays open.
        "for" length: Length,
        /// Whose clocks the expression means, such as `Europe/Brussels`; UTC without it.
        "timeZone" time_zone: String,
        /// For people who meet it closed.
        "reason" reason: String,
    }
}
