//! What a bucket tells others, as S3 writes it. Only what is ours is changed; all else stays as it was written. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use roxmltree::{Document, Node};

use crate::{cloud::xml::escaped, manifest::aws::Bucket};

const ROOT: &str = "NotificationConfiguration";
const CALL: &str = "CloudFunctionConfiguration";
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// One function's notifications: the names of ours start alike, and name no other function's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mine<'a> {
    pub(super) lambda: &'a str,
    /// What they call.
    pub(super) blue: &'a str,
}

impl Mine<'_> {
    /// No name of a function has a dot.
    fn start(&self) -> String {
        format!("verdigris-on-{}.", self.lambda)
    }
}

/// Everything that one bucket tells.
#[derive(Debug)]
pub(super) struct Notices {
    text: String,
    /// Before the end of the root element. None where it is empty.
    end: Option<usize>,
    calls: Vec<Call>,
    /// Everything, by its name and whether it calls a function.
    all: Vec<(String, bool, String)>,
}

/// Of a function.
#[derive(Debug)]
struct Call {
    id: String,
    function: String,
    bucket: Bucket,
    place: Range<usize>,
}

impl Notices {
    /// None where this is no such document.
    pub(super) fn read(bucket: &str, text: &str) -> Option<Self> {
        let document = Document::parse(text).ok()?;
        let root = document.root_element();
        if root.tag_name().name() != ROOT {
            return None;
        }
        let calls = root.children().filter(|it| it.tag_name().name() == CALL);
        let all = root.children().filter(Node::is_element).map(|it| {
            let is_call = it.tag_name().name() == CALL;
            (text_of(it, "Id"), is_call, plain(it))
        });
        Some(Self {
            text: text.to_owned(),
            end: root.last_child().map(|it| it.range().end),
            calls: calls.map(|it| call(bucket, it)).collect(),
            all: all.collect(),
        })
    }

    /// By the events' names. One of ours that calls another function, since somebody changed it, has a name that nobody asks for.
    pub(super) fn of(&self, mine: Mine<'_>) -> BTreeMap<String, Bucket> {
        let start = mine.start();
        let own = self.calls.iter().filter_map(|call| {
            let name = call.id.strip_prefix(&start)?;
            let name = match call.function == mine.blue {
                true => name.to_owned(),
                false => format!("{name} for {}", call.function),
            };
            Some((name, call.bucket.clone()))
        });
        own.collect()
    }

    /// All that calls a function.
    pub(super) fn to(&self, function: &str) -> Vec<Bucket> {
        let calls = self.calls.iter().filter(|it| it.function == function);
        calls.map(|it| it.bucket.clone()).collect()
    }

    /// Whether ours are exactly these.
    pub(super) fn is_as(&self, mine: Mine<'_>, wanted: &BTreeMap<&str, &Bucket>) -> bool {
        let own = self.of(mine);
        let own = own.iter().map(|(name, it)| (name.as_str(), it));
        own.eq(wanted.iter().map(|(name, it)| (*name, *it)))
    }

    /// What is not ours, in a form that can be compared: S3 may tell it in another order than before.
    pub(super) fn others(&self, mine: Mine<'_>) -> BTreeSet<&str> {
        let start = mine.start();
        let all = self.all.iter();
        let others = all.filter(|(id, is_call, _)| !(*is_call && id.starts_with(&start)));
        others.map(|(_, _, plain)| plain.as_str()).collect()
    }

    /// The same with exactly these as ours.
    pub(super) fn with(&self, mine: Mine<'_>, wanted: &BTreeMap<&str, &Bucket>) -> String {
        let start = mine.start();
        let fresh = wanted
            .iter()
            .map(|(name, bucket)| written(mine, name, bucket));
        let fresh: String = fresh.collect();
        let Some(end) = self.end else {
            return format!("<{ROOT} xmlns=\"{NAMESPACE}\">{fresh}</{ROOT}>");
        };
        let own = self.calls.iter().filter(|it| it.id.starts_with(&start));
        let mut text = String::new();
        let mut at = 0;
        for call in own {
            text += &self.text[at..call.place.start];
            at = call.place.end;
        }
        format!("{text}{}{fresh}{}", &self.text[at..end], &self.text[end..])
    }
}

/// An element without spaces between its parts, and with them in order.
fn plain(node: Node<'_, '_>) -> String {
    let parts: BTreeSet<_> = node
        .children()
        .filter(Node::is_element)
        .map(plain)
        .collect();
    let name = node.tag_name().name();
    match parts.is_empty() {
        true => format!("{name}={:?}", node.text().unwrap_or_default().trim()),
        false => format!("{name}{parts:?}"),
    }
}

fn text_of(node: Node<'_, '_>, name: &str) -> String {
    let named = node.descendants().find(|it| it.tag_name().name() == name);
    let text = named.and_then(|it| it.text());
    text.unwrap_or_default().to_owned()
}

fn call(bucket: &str, node: Node<'_, '_>) -> Call {
    let events = node.children().filter(|it| it.tag_name().name() == "Event");
    // S3 itself writes `Prefix`, whatever it was given.
    let part = |part: &str| {
        let mut rules = node.descendants();
        let rule = rules.find(|it| {
            let is_rule = it.tag_name().name() == "FilterRule";
            is_rule && text_of(*it, "Name").eq_ignore_ascii_case(part)
        });
        let told = rule.map(|it| text_of(it, "Value"));
        told.filter(|it| !it.is_empty())
    };
    let ways = ["CloudFunction", "CloudFunctionArn", "LambdaFunctionArn"];
    let function = ways.map(|it| text_of(node, it)).concat();
    Call {
        id: text_of(node, "Id"),
        function,
        bucket: Bucket {
            name: bucket.to_owned(),
            on: events
                .filter_map(|it| it.text().map(str::to_owned))
                .collect(),
            prefix: part("prefix"),
            suffix: part("suffix"),
        },
        place: node.range(),
    }
}

fn written(mine: Mine<'_>, name: &str, bucket: &Bucket) -> String {
    let Bucket {
        name: _,
        on,
        prefix,
        suffix,
    } = bucket;
    let element = |name: &str, text: &str| format!("<{name}>{}</{name}>", escaped(text));
    let rule = |(part, value): (&str, &Option<String>)| {
        let value = value.as_deref().filter(|it| !it.is_empty())?;
        let parts = [element("Name", part), element("Value", value)];
        Some(format!("<FilterRule>{}</FilterRule>", parts.concat()))
    };
    let rules = [("prefix", prefix), ("suffix", suffix)];
    let rules: String = rules.into_iter().filter_map(rule).collect();
    let events: String = on.iter().map(|it| element("Event", it)).collect();
    let filter = match rules.is_empty() {
        true => String::new(),
        false => format!("<Filter><S3Key>{rules}</S3Key></Filter>"),
    };
    let id = element("Id", &format!("{}{name}", mine.start()));
    let function = element("CloudFunction", mine.blue);
    format!("<{CALL}>{id}{function}{events}{filter}</{CALL}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Mine<'_> = Mine {
        lambda: "prod-shop-stock",
        blue: "arn:blue",
    };

    fn uploads(prefix: &str) -> Bucket {
        Bucket {
            name: "uploads".to_owned(),
            on: ["s3:ObjectCreated:*".to_owned()].into(),
            prefix: Some(prefix.to_owned()),
            suffix: None,
        }
    }

    #[test]
    fn only_ours_is_changed() {
        let theirs = "<QueueConfiguration><Id>q</Id></QueueConfiguration><CloudFunctionConfiguration><Id>verdigris-on-prod-shop-stock-two.a</Id></CloudFunctionConfiguration>";
        let given =
            format!("<?xml version=\"1.0\"?><{ROOT} xmlns=\"{NAMESPACE}\">{theirs}</{ROOT}>");
        let (one, two) = (uploads("a&b/"), uploads("c/"));
        let read = |text: &str| Notices::read("uploads", text).expect("a document");
        let first = read(&given).with(MINE, &[("in", &one)].into());
        assert_eq!(read(&first).of(MINE), [("in".to_owned(), one)].into());
        let second = read(&first).with(MINE, &[("in", &two)].into());
        assert_eq!(read(&second).of(MINE), [("in".to_owned(), two)].into());
        assert!(second.contains(theirs));
        assert_eq!(read(&second).with(MINE, &BTreeMap::new()), given);
    }

    #[test]
    fn what_others_have_there_is_the_same_in_any_order() {
        let queue =
            "<QueueConfiguration><Id>q</Id><Event>a</Event><Event>b</Event></QueueConfiguration>";
        let turned = "<QueueConfiguration> <Event>b</Event>\n<Event>a</Event><Id>q</Id></QueueConfiguration>";
        let topic =
            "<TopicConfiguration><Id>verdigris-on-prod-shop-stock.a</Id></TopicConfiguration>";
        let others = |theirs: &str| {
            let given = format!("<{ROOT}>{theirs}</{ROOT}>");
            let read = Notices::read("uploads", &given).expect("a document");
            let one = uploads("a/");
            let text = read.with(MINE, &[("in", &one)].into());
            let read = Notices::read("uploads", &text).expect("a document");
            read.others(MINE)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            others(&[queue, topic].concat()),
            others(&[topic, turned].concat())
        );
        assert_ne!(others(&[queue, topic].concat()), others(queue));
        assert_eq!(others("").len(), 0, "ours are not theirs");
    }

    #[test]
    fn a_bucket_that_tells_nothing_takes_the_first() {
        for given in [
            "<NotificationConfiguration/>",
            "<NotificationConfiguration xmlns='http://s3.amazonaws.com/doc/2006-03-01/'></NotificationConfiguration>",
        ] {
            let empty = Notices::read("uploads", given).expect("a document");
            let one = uploads("a/");
            let text = empty.with(MINE, &[("in", &one)].into());
            let read = Notices::read("uploads", &text).expect("a document");
            assert_eq!(read.of(MINE), [("in".to_owned(), one)].into());
        }
        assert!(Notices::read("uploads", "<Error/>").is_none());
    }

    #[test]
    fn what_somebody_sent_elsewhere_is_not_ours_any_more() {
        let one = uploads("a/");
        let elsewhere = Mine {
            blue: "arn:other",
            ..MINE
        };
        let empty = Notices::read("uploads", "<NotificationConfiguration/>").expect("a document");
        let text = empty.with(elsewhere, &[("in", &one)].into());
        let read = Notices::read("uploads", &text).expect("a document");
        assert_eq!(
            read.of(MINE).keys().collect::<Vec<_>>(),
            ["in for arn:other"]
        );
        assert!(!read.with(MINE, &BTreeMap::new()).contains("arn:other"));
    }
}
