//! Events that a cloud would take for one: where a function asks for the same thing twice, the last would win and nobody would be told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::super::super::{
    aws::{Bucket, EventSource},
    raw::{At, FunctionAwsText, FunctionSpec, Named, Report},
    spec::{Function, Functions},
    yaml::Place,
};
use crate::name::FunctionName;

/// One event of one function.
struct Claim<'a> {
    function: &'a FunctionName,
    event: &'a str,
    source: &'a EventSource,
}

/// Two events that are one to the cloud.
struct Clash {
    what: &'static str,
    help: &'static str,
}

/// Where events are written.
pub(in crate::manifest::check) struct Written<'a> {
    pub(in crate::manifest::check) service: &'a Option<At<FunctionAwsText>>,
    pub(in crate::manifest::check) functions: &'a At<Named<FunctionName, FunctionSpec>>,
}

pub(in crate::manifest::check) fn check_events(
    functions: &Functions,
    written: &Written<'_>,
    report: &mut Report,
) {
    let claims: Vec<_> = functions.iter().flat_map(claims).collect();
    // What a service asks for all its functions is told once.
    let mut told = BTreeSet::new();
    for (index, later) in claims.iter().enumerate() {
        let mut earlier = claims.iter().take(index);
        let found = earlier.find_map(|it| Some((it, clash(it, later)?)));
        let Some((earlier, Clash { what, help })) = found else {
            continue;
        };
        let message = match earlier.function == later.function {
            true => format!("{what} `{}`", earlier.event),
            false => format!("{what} `{}` of `{}`", earlier.event, earlier.function),
        };
        let place = written.place(later);
        if told.insert((place.steps(), message.clone())) {
            report.fault(&place.key(), message, help);
        }
    }
}

/// A log group keeps all that is in it for one time: functions that share one must ask for the same.
pub(in crate::manifest::check) fn check_logs(
    functions: &Functions,
    written: &Written<'_>,
    report: &mut Report,
) {
    let mut known: BTreeMap<&str, (u32, &FunctionName)> = BTreeMap::new();
    for (name, function) in functions {
        let logs = function.aws.as_ref().and_then(|aws| aws.logs.as_ref());
        let asked = logs.and_then(|logs| Some((logs.group.as_deref()?, logs.retention?)));
        let Some((group, days)) = asked else {
            continue;
        };
        let (before, first) = *known.entry(group).or_insert((days, name));
        if before != days {
            let message = format!(
                "keeps log group `{group}` for {days} days, and `{first}` keeps it for {before}"
            );
            let help = "a group has one retention: write the same for both, or give one of them another group";
            report.fault(&written.place_of(name).key(), message, help);
        }
    }
}

fn claims<'a>((function, it): (&'a FunctionName, &'a Arc<Function>)) -> Vec<Claim<'a>> {
    let events = it.aws.iter().flat_map(|aws| &aws.events);
    let claims = events.map(|(event, source)| Claim {
        function,
        event,
        source,
    });
    claims.collect()
}

fn clash(earlier: &Claim<'_>, later: &Claim<'_>) -> Option<Clash> {
    let is_same = earlier.function == later.function;
    match (earlier.source, later.source) {
        (EventSource::Topic(a), EventSource::Topic(b)) if is_same && a.arn == b.arn => {
            Some(Clash {
                what: "has the topic of",
                help: "a function subscribes to a topic once: let one event have both filters, or give the other to another function",
            })
        }
        (EventSource::Stream(a), EventSource::Stream(b)) if is_same && a.arn == b.arn => {
            Some(Clash {
                what: "reads the stream of",
                help: "a function reads a stream once: keep one of them, or give the other to another function",
            })
        }
        (EventSource::Bucket(a), EventSource::Bucket(b)) if overlap(a, b) => Some(Clash {
            what: "is told by its bucket what that tells",
            help: "S3 tells of each change once: let `on`, `prefix` or `suffix` keep them apart",
        }),
        (EventSource::Topic(_) | EventSource::Stream(_) | EventSource::Bucket(_), _) => None,
    }
}

/// S3 refuses two notifications that could both be meant by one change of one object.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>
fn overlap(a: &Bucket, b: &Bucket) -> bool {
    let (start_a, start_b) = (text(&a.prefix), text(&b.prefix));
    let (end_a, end_b) = (text(&a.suffix), text(&b.suffix));
    a.name == b.name
        && a.on.iter().any(|a| b.on.iter().any(|b| is_one(a, b)))
        && (start_a.starts_with(start_b) || start_b.starts_with(start_a))
        && (end_a.ends_with(end_b) || end_b.ends_with(end_a))
}

fn text(part: &Option<String>) -> &str {
    part.as_deref().unwrap_or_default()
}

/// `s3:ObjectCreated:*` is every event of that kind.
fn is_one(a: &str, b: &str) -> bool {
    let covers = |all: &str, one: &str| all.strip_suffix('*').is_some_and(|it| one.starts_with(it));
    a == b || covers(a, b) || covers(b, a)
}

impl Written<'_> {
    /// At the function, else at the service, which asks it for all functions.
    fn place(&self, claim: &Claim<'_>) -> Place {
        let spec = self.spec(claim.function);
        let own = spec.and_then(|spec| event_in(&spec.value.aws, claim.event));
        let place = own.or_else(|| event_in(self.service, claim.event));
        let place = place.or_else(|| Some(spec?.place.clone()));
        place.unwrap_or_else(|| self.functions.place.clone())
    }

    fn place_of(&self, function: &FunctionName) -> Place {
        let spec = self.spec(function).map(|it| it.place.clone());
        spec.unwrap_or_else(|| self.functions.place.clone())
    }

    fn spec(&self, function: &FunctionName) -> Option<&At<FunctionSpec>> {
        let mut named = self.functions.value.0.iter();
        let spec = named.find(|(name, _)| name.value == *function);
        spec.map(|(_, spec)| spec)
    }
}

fn event_in(aws: &Option<At<FunctionAwsText>>, event: &str) -> Option<Place> {
    let events = aws.as_ref()?.value.events.as_ref()?;
    let mut named = events.value.0.iter();
    let (_, text) = named.find(|(name, _)| name.value == event)?;
    Some(text.place.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `created uploads/ .csv`, as parts of a bucket's notification.
    fn bucket(text: &str) -> Bucket {
        let mut parts = text.split(' ');
        let mut next = || parts.next().filter(|it| *it != "-").map(str::to_owned);
        let on = next().into_iter().collect();
        Bucket {
            name: "uploads".to_owned(),
            on,
            prefix: next(),
            suffix: next(),
        }
    }

    #[test]
    fn notifications_overlap_where_one_object_could_mean_both() {
        let table = [
            ("s3:ObjectCreated:*", "s3:ObjectCreated:Put", true),
            ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", false),
            ("s3:ObjectCreated:* in/", "s3:ObjectCreated:* out/", false),
            ("s3:ObjectCreated:* in/", "s3:ObjectCreated:* in/new/", true),
            ("s3:ObjectCreated:* in/", "s3:ObjectCreated:*", true),
            (
                "s3:ObjectCreated:* in/ .csv",
                "s3:ObjectCreated:* in/ .xml",
                false,
            ),
            (
                "s3:ObjectCreated:* - .csv",
                "s3:ObjectCreated:* in/ .csv",
                true,
            ),
        ];
        for (a, b, expected) in table {
            assert_eq!(overlap(&bucket(a), &bucket(b)), expected, "{a} and {b}");
            assert_eq!(overlap(&bucket(b), &bucket(a)), expected, "{b} and {a}");
        }
    }
}
