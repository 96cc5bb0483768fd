//! Sets off the functions whose time has come.

use std::sync::Arc;

use serde_json::{Map, json};

use super::{Ear, binding, schedule::Schedule};
use crate::{
    local::{
        arm::{
            cloud::Cloud,
            host::{app::App, forward, wrap::Event},
            model::SlotKey,
        },
        process::Stream,
    },
    name::Timestamp,
};

/// Once where a timer was due since the last look, however often it was. One that still runs is not begun again.
pub(super) fn look(
    cloud: &Arc<Cloud>,
    key: &SlotKey,
    app: &Arc<App>,
    (last, now): (Timestamp, Timestamp),
) {
    let Some(package) = &app.parts.package else {
        return;
    };
    for (name, function) in &package.functions {
        if app.is_disabled(name, function) {
            continue;
        }
        let schedule = binding::schedule(&function.config, &app.parts.settings);
        let Some(schedule) = schedule.and_then(|it| Schedule::parse(&it)) else {
            continue;
        };
        let Some(due) = schedule.next(last).filter(|due| *due <= now) else {
            continue;
        };
        let ear = app.listening.of(name);
        if Ear::others(&ear.under_way) > 0 {
            continue;
        }
        let Some(entered) = cloud.doors.enter_as(key, app) else {
            return;
        };
        let event = event(due, schedule.next(now), now);
        let (name, function) = (name.clone(), function.clone());
        cloud.tasks.spawn(async move {
            let done = forward::set_off(&entered, (&name, &function), &event).await;
            if let Err(error) = done {
                let logs = &entered.app().parts.logs;
                logs.push(Stream::Platform, &format!("{name} failed: {error}"));
            }
            drop(ear);
        });
    }
}

fn event(due: Timestamp, next: Option<Timestamp>, now: Timestamp) -> Event {
    let status = json!({"Last": due, "LastUpdated": due, "Next": next});
    let input = json!({
        "Schedule": {"AdjustForDST": true},
        "ScheduleStatus": status,
        "IsPastDue": false,
    });
    Event {
        input,
        metadata: Map::from_iter([("sys".to_owned(), json!({ "UtcNow": now }))]),
    }
}
