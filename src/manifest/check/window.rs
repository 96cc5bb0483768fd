//! Promotion windows: one kind each, days that come, and time zones that there are.

use super::{
    super::{
        raw::{At, Report, WindowText, suggest},
        spec::{Window, WindowEffect},
        window::{is_zone, schedule_fault, zones},
    },
    filled,
};

/// More would make each look at them slow.
const WINDOWS_MAX: usize = 50;

/// None where any is wrong; each is told.
pub(super) fn windows(
    written: &Option<At<Vec<At<WindowText>>>>,
    report: &mut Report,
) -> Option<Vec<Window>> {
    let Some(written) = written else {
        return Some(Vec::new());
    };
    if written.value.len() > WINDOWS_MAX {
        let message = format!("has more than {WINDOWS_MAX} windows");
        report.fault(&written.place.key(), message, "");
        return None;
    }
    let mut windows = Vec::new();
    for text in &written.value {
        windows.push(window(text, report));
    }
    windows.into_iter().collect()
}

fn window(text: &At<WindowText>, report: &mut Report) -> Option<Window> {
    let WindowText {
        allow,
        deny,
        length,
        time_zone,
        reason,
    } = &text.value;
    let (effect, schedule) = match (allow, deny) {
        (Some(allow), None) => (WindowEffect::Allow, allow),
        (None, Some(deny)) => (WindowEffect::Deny, deny),
        (Some(_), Some(deny)) => {
            let help = "make it a window of its own";
            report.fault(&deny.place.key(), "a window allows or denies", help);
            return None;
        }
        (None, None) => {
            if !report.has_fault_below(&text.place) {
                let help = "add one, such as `allow: 0 9 * * MON-FRI`";
                report.fault(&text.place, "neither allows nor denies", help);
            }
            return None;
        }
    };
    let fault = schedule_fault(&schedule.value.0);
    if let Some(message) = &fault {
        report.fault(&schedule.place, message, "such as `0 9 * * MON-FRI`");
    }
    let is_empty = length.as_ref().is_some_and(|at| at.value.0.is_zero());
    if let Some(length) = length.as_ref().filter(|_| is_empty) {
        report.fault(&length.place, "is never open", "such as `8h`");
    }
    let time_zone = zone_of(time_zone, report);
    let reason = reason.as_ref().map(|reason| filled(reason, report));
    let length = length.as_ref().filter(|_| !is_empty && fault.is_none())?;
    Some(Window {
        effect,
        schedule: schedule.value.0.clone(),
        length: length.value.0,
        time_zone: time_zone?,
        reason: match reason {
            None => None,
            Some(written) => Some(written?),
        },
    })
}

fn zone_of(written: &Option<At<String>>, report: &mut Report) -> Option<String> {
    let Some(written) = written else {
        return Some("UTC".to_owned());
    };
    if is_zone(&written.value) {
        return Some(written.value.clone());
    }
    let known = zones();
    let near = suggest(&written.value, known.iter().map(String::as_str));
    let help = near.map_or_else(
        || "a name such as `Europe/Brussels` or `UTC`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    report.fault(&written.place, "is no time zone", help);
    None
}
