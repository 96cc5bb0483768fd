//! How single values are written: durations, sizes, routes, cron expressions, names. Each refusal says what to write instead.

use std::{collections::BTreeSet, str::FromStr, time::Duration};

use crate::{
    manifest::spec::{HttpRoute, Megabytes, PathPattern, Runtime},
    name::BadName,
};

/// The nearest of some words, where it is near enough to be meant.
pub(in crate::manifest) fn suggest<'w>(
    word: &str,
    known: impl Iterator<Item = &'w str>,
) -> Option<&'w str> {
    const ALIKE: f64 = 0.8;
    let fold = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let word = fold(word);
    let scored = known.map(|known| (strsim::jaro_winkler(&word, &fold(known)), known));
    let near = scored.filter(|(score, _)| *score >= ALIKE);
    near.max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// What is wrong with a text, and what to write instead.
pub(super) type Refusal = (String, String);

fn refused<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Refusal> {
    Err((message.into(), help.into()))
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Refusal> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let help = match suggest(text, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write one of: {}", known.join(", ")),
    };
    refused(format!("`{}` is not known", shorten(text)), help)
}

/// A text for a message: one line that is not too long.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or("");
    if text.chars().count() <= LONGEST && line.len() == text.len() {
        return text.to_owned();
    }
    let start: String = line.chars().take(LONGEST).collect();
    format!("{start}…")
}

pub(super) fn name<N: FromStr<Err = BadName>>(text: &str) -> Result<N, Refusal> {
    text.parse().map_err(|_| {
        // The rule's own message repeats the name, which may be long.
        let error = text.parse::<N>().err().map(|error| error.rule);
        let rule = error.unwrap_or_default();
        let help = tidy_name(text).filter(|tidy| tidy.parse::<N>().is_ok());
        let help = help.map(|tidy| format!("write `{tidy}`"));
        (
            format!("the name `{}` {rule}", shorten(text)),
            help.unwrap_or_default(),
        )
    })
}

/// The name that was probably meant: `Stock_API` means `stock-api`.
fn tidy_name(text: &str) -> Option<String> {
    let tidy = text.to_lowercase().replace(['_', ' ', '.'], "-");
    let tidy = tidy.trim_matches('-').to_owned();
    (tidy != text && !tidy.is_empty()).then_some(tidy)
}

/// Versions that both clouds run.
const PYTHONS: [&str; 4] = ["3.10", "3.11", "3.12", "3.13"];
const NODES: [&str; 3] = ["20", "22", "24"];

fn runtimes() -> impl Iterator<Item = Runtime> {
    let pythons = PYTHONS.map(|version| Runtime::Python(version.to_owned()));
    let nodes = NODES.map(|version| Runtime::Node(version.to_owned()));
    let versions = pythons.into_iter().chain(nodes);
    versions.chain([Runtime::Executable])
}

/// How a runtime may be written: as we do first, then as AWS does.
fn spellings(runtime: &Runtime) -> Vec<String> {
    let word = runtime.to_string();
    match runtime {
        Runtime::Node(_) => vec![word.clone(), format!("{word}.x")],
        Runtime::Python(_) | Runtime::Executable => vec![word],
    }
}

/// Every word that [`runtime`] takes.
pub(super) fn runtime_words() -> Vec<String> {
    runtimes().flat_map(|it| spellings(&it)).collect()
}

pub(super) fn runtime(text: &str) -> Result<Runtime, Refusal> {
    if let Some(known) = runtimes().find(|it| spellings(it).iter().any(|word| word == text)) {
        return Ok(known);
    }
    let words: Vec<String> = runtimes().map(|it| it.to_string()).collect();
    let help = format!("write one of: {}", words.join(", "));
    let message = format!("no runtime `{}` on both clouds", shorten(text));
    refused(message, help)
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub(super) fn method(text: &str) -> Result<String, Refusal> {
    let upper = text.trim().to_uppercase();
    if METHODS.contains(&upper.as_str()) {
        return Ok(upper);
    }
    let help = format!("write one of: {}", METHODS.join(", "));
    refused(format!("no HTTP method `{}`", shorten(text)), help)
}

pub(super) fn route(text: &str) -> Result<HttpRoute, Refusal> {
    let text = text.trim();
    let slash = text.find('/').unwrap_or(text.len());
    let (words, path) = text.split_at(slash);
    let mut methods = Vec::new();
    for word in words.split([',', ' ']).filter(|word| !word.is_empty()) {
        if !word.eq_ignore_ascii_case("any") {
            methods.push(method(word)?);
        }
    }
    methods.sort();
    methods.dedup();
    let path = pattern(path)?;
    Ok(HttpRoute { methods, path })
}

fn pattern(path: &str) -> Result<PathPattern, Refusal> {
    let example = "write it like `GET /stock/{sku}`";
    if !path.starts_with('/') {
        return refused("has no path that starts with `/`", example);
    }
    if path.contains(['?', '#']) || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return refused("a path holds no query, fragment or space", example);
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut names = BTreeSet::new();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) else {
            if part.contains(['{', '}']) || (part.is_empty() && parts.len() > 1) {
                let message = format!("`{}` is no part of a path", shorten(part));
                return refused(
                    message,
                    "a part is plain text, `{name}`, or `{name+}` at the end",
                );
            }
            continue;
        };
        let plain = name.strip_suffix('+').unwrap_or(name);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if plain.is_empty() || !plain.chars().all(is_name) {
            return refused(
                format!("`{{{}}}` has no proper name", shorten(name)),
                example,
            );
        }
        if plain != name && !is_last {
            return refused(
                format!("`{{{name}}}` takes the rest, so it must be last"),
                "",
            );
        }
        if !names.insert(plain) {
            return refused(format!("`{{{plain}}}` stands in this path twice"), "");
        }
    }
    Ok(PathPattern(path.to_owned()))
}

/// Nobody means to wait longer; and no sum of a few of them overflows.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn duration(text: &str) -> Result<Duration, Refusal> {
    let example = "write it like `300ms`, `30s`, `10m` or `1h30m`";
    if text.trim_start().starts_with('-') {
        return refused("a duration is not negative", example);
    }
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return refused("is no duration", example);
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        if !number.is_empty() && unit.is_empty() && after.is_empty() {
            return refused("has no unit", format!("write `{number}s` for seconds"));
        }
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return refused(format!("`{}` is no duration", shorten(text)), example),
        };
        let part = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(millis));
        let sum = part.and_then(|part| total.checked_add(Duration::from_millis(part)));
        let Some(sum) = sum.filter(|sum| *sum <= LONGEST) else {
            if number.is_empty() {
                return refused(format!("`{}` is no duration", shorten(text)), example);
            }
            return refused(
                format!("`{}` is too long", shorten(text)),
                "at most 30 days",
            );
        };
        total = sum;
        rest = after;
    }
    Ok(total)
}

/// The limits of Lambda, in MiB.
const MEMORY: std::ops::RangeInclusive<u32> = 128..=10_240;

pub(super) fn memory(text: &str) -> Result<Megabytes, Refusal> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "Mi" | "MiB" | "MB" | "M" => Some(1),
        "Gi" | "GiB" | "GB" | "G" => Some(1024),
        _ => None,
    };
    let Some((number, factor)) = number.parse::<u32>().ok().zip(factor) else {
        return refused(
            format!("`{}` is no size", shorten(text)),
            "write it like `256Mi`",
        );
    };
    match number
        .checked_mul(factor)
        .filter(|size| MEMORY.contains(size))
    {
        Some(size) => Ok(Megabytes(size)),
        None => refused(
            format!("`{}` is not between 128Mi and 10240Mi", shorten(text)),
            "Lambda allows no other size",
        ),
    }
}

/// A field of a cron expression: its name, its bounds, and the words for its numbers.
struct CronField {
    name: &'static str,
    low: u32,
    high: u32,
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const fn cron_field(
    name: &'static str,
    low: u32,
    high: u32,
    words: &'static [&'static str],
) -> CronField {
    CronField {
        name,
        low,
        high,
        words,
    }
}

const CRON: [CronField; 5] = [
    cron_field("minute", 0, 59, &[]),
    cron_field("hour", 0, 23, &[]),
    cron_field("day of month", 1, 31, &[]),
    cron_field("month", 1, 12, &MONTHS),
    cron_field("day of week", 0, 7, &DAYS),
];

pub(super) fn cron(text: &str) -> Result<String, Refusal> {
    let example =
        "write five fields: minute, hour, day of month, month, day of week, such as `*/15 * * * *`";
    let parts: Vec<&str> = text.split_whitespace().collect();
    if parts.len() != CRON.len() {
        return refused(format!("has {} fields", parts.len()), example);
    }
    for (part, field) in parts.iter().zip(&CRON) {
        if !part.split(',').all(|item| field.allows(item)) {
            let CronField {
                name,
                low,
                high,
                words: _,
            } = field;
            let message = format!("`{}` is no {name}", shorten(part));
            return refused(
                message,
                format!("{low} to {high}, with `*`, `a-b`, `*/n` and `,`"),
            );
        }
    }
    Ok(parts.join(" "))
}

impl CronField {
    fn allows(&self, item: &str) -> bool {
        let (range, step) = item.split_once('/').map_or((item, "1"), |(r, s)| (r, s));
        let has_step = step
            .parse::<u32>()
            .is_ok_and(|step| step > 0 && step <= self.high);
        has_step && (range == "*" || self.has_range(range))
    }

    fn has_range(&self, range: &str) -> bool {
        match range.split_once('-') {
            None => self.number(range).is_some(),
            Some((from, to)) => {
                let bounds = self.number(from).zip(self.number(to));
                bounds.is_some_and(|(from, to)| from <= to)
            }
        }
    }

    fn number(&self, text: &str) -> Option<u32> {
        let word = self
            .words
            .iter()
            .position(|word| word.eq_ignore_ascii_case(text));
        let from_word = word
            .and_then(|at| u32::try_from(at).ok())
            .map(|at| at + self.low);
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let written = is_number.then(|| text.parse().ok()).flatten();
        from_word
            .or(written)
            .filter(|n| (self.low..=self.high).contains(n))
    }
}

/// Variables that a cloud, its runtime or we set ourselves.
const RESERVED_STARTS: [&str; 9] = [
    "AWS_",
    "LAMBDA_",
    "VERDIGRIS_",
    "WEBSITE_",
    "FUNCTIONS_",
    "AZUREWEBJOBS",
    "AZURE_FUNCTIONS_",
    "APPSETTING_",
    "WEBSITES_",
];
const RESERVED: [&str; 3] = ["PORT", "_HANDLER", "_X_AMZN_TRACE_ID"];

pub(super) fn variable(text: &str) -> Result<String, Refusal> {
    const LONGEST: usize = 128;
    // Azure's names know no case.
    let upper = text.to_ascii_uppercase();
    let is_reserved = RESERVED.contains(&upper.as_str());
    if is_reserved || RESERVED_STARTS.iter().any(|start| upper.starts_with(start)) {
        let message = format!("the variable `{}` belongs to the platform", shorten(text));
        return refused(message, "choose another name");
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts && text.chars().all(is_part) && text.len() <= LONGEST {
        return Ok(text.to_owned());
    }
    let message = format!("`{}` is no name of a variable", shorten(text));
    refused(
        message,
        "letters, digits and `_`, starting with a letter, such as `LOG_LEVEL`",
    )
}

pub(super) fn label(text: &str) -> Result<(), Refusal> {
    const LONGEST: usize = 63;
    if text.len() <= LONGEST && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!("`{}` is no label", shorten(text));
    refused(
        message,
        format!("one line of at most {LONGEST} bytes; annotations may be longer"),
    )
}
