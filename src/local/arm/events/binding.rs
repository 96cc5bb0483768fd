//! What sets a function off by itself: a queue of an account, or a clock. Read from function.json and the settings of its slot. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// The connection of bindings that name none.
const STORAGE: &str = "AzureWebJobsStorage";

type Settings = BTreeMap<String, String>;

/// The queue that a function reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) account: String,
    /// None where the app's own identity is let in.
    pub(super) key: Option<String>,
}

/// None where the function reads no queue, or where its settings say nothing of the account.
pub(super) fn queue(function: &Value, settings: &Settings) -> Option<Queue> {
    let binding = binding(function, "queueTrigger")?;
    let name = filled_in(binding["queueName"].as_str()?, settings)?;
    let connection = binding["connection"].as_str().filter(|it| !it.is_empty());
    let (account, key) = account(connection.unwrap_or(STORAGE), settings)?;
    // The host writes the name small itself.
    let name = name.to_ascii_lowercase();
    Some(Queue { name, account, key })
}

/// The NCRONTAB expression of a function that a clock sets off.
pub(super) fn schedule(function: &Value, settings: &Settings) -> Option<String> {
    let binding = binding(function, "timerTrigger")?;
    filled_in(binding["schedule"].as_str()?, settings)
}

fn binding<'f>(function: &'f Value, kind: &str) -> Option<&'f Value> {
    let mut bindings = function["bindings"].as_array()?.iter();
    bindings.find(|it| {
        it["type"]
            .as_str()
            .is_some_and(|it| it.eq_ignore_ascii_case(kind))
    })
}

/// `%NAME%` stands for a setting; nothing where that is missing.
fn filled_in(text: &str, settings: &Settings) -> Option<String> {
    let mut pieces = text.split('%');
    let mut filled = pieces.next()?.to_owned();
    while let Some(name) = pieces.next() {
        filled += setting(name, settings)?;
        filled += pieces.next()?;
    }
    Some(filled)
}

fn setting<'s>(name: &str, settings: &'s Settings) -> Option<&'s str> {
    let mut all = settings.iter();
    let found = all.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// The account of a connection, and the key that it shows.
fn account(connection: &str, settings: &Settings) -> Option<(String, Option<String>)> {
    let part = |part: &str| setting(&format!("{connection}__{part}"), settings);
    if let Some(name) = part("accountName") {
        return Some((name.to_owned(), None));
    }
    if let Some(address) = part("queueServiceUri") {
        return Some((named_by(address)?, None));
    }
    let text = setting(connection, settings);
    let text = text.or_else(|| setting(&format!("AzureWebJobs{connection}"), settings))?;
    let part = |name: &str| {
        let mut parts = text.split(';').filter_map(|part| part.split_once('='));
        let found = parts.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    Some((part("AccountName")?, Some(part("AccountKey")?)))
}

/// The account in an address of its queues: the first part of the host's name, or where emulators have it.
fn named_by(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    let last = url.path().trim_end_matches('/').rsplit('/').next();
    let last = last.filter(|part| !part.is_empty()).map(str::to_owned);
    last.or_else(|| Some(url.domain()?.split('.').next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn reading(queue: &str, connection: &str) -> Value {
        json!({"bindings": [{"type": "QueueTrigger", "queueName": queue, "connection": connection}]})
    }

    #[test]
    fn the_account_is_the_one_that_the_connection_names() {
        let settings = settings(&[
            ("AzureWebJobsStorage__accountName", "shop"),
            (
                "Other__queueServiceUri",
                "https://theirs.queue.core.windows.net/",
            ),
            (
                "Here__queueServiceUri",
                "http://127.0.0.1:4567/queues/mine/",
            ),
            (
                "Keyed",
                "AccountName=keyed;AccountKey=a2V5==;EndpointSuffix=core.windows.net",
            ),
            ("AzureWebJobsOld", "AccountName=old;AccountKey=b2xk"),
        ]);
        for (connection, expected) in [
            ("", Some(("shop", None))),
            ("AzureWebJobsStorage", Some(("shop", None))),
            ("Other", Some(("theirs", None))),
            ("Here", Some(("mine", None))),
            ("Keyed", Some(("keyed", Some("a2V5==")))),
            ("Old", Some(("old", Some("b2xk")))),
            ("Missing", None),
        ] {
            let found = queue(&reading("Orders", connection), &settings);
            let found = found.map(|it| (it.name, it.account, it.key));
            let expected = expected.map(|(account, key): (&str, Option<&str>)| {
                (
                    "orders".to_owned(),
                    account.to_owned(),
                    key.map(str::to_owned),
                )
            });
            assert_eq!(found, expected, "{connection}");
        }
    }

    #[test]
    fn names_between_percent_signs_are_settings() {
        let settings = settings(&[
            ("QUEUE", "orders"),
            ("AzureWebJobsStorage__accountName", "a"),
        ]);
        let named = |text| queue(&reading(text, ""), &settings).map(|it| it.name);
        assert_eq!(named("eu-%queue%-1").as_deref(), Some("eu-orders-1"));
        assert_eq!(named("%MISSING%"), None);
        let timer = json!({"bindings": [{"type": "timerTrigger", "schedule": "0 */5 * * * *"}]});
        assert_eq!(
            schedule(&timer, &settings).as_deref(),
            Some("0 */5 * * * *")
        );
        assert_eq!(queue(&timer, &settings), None);
    }
}
