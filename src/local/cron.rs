//! What the cron expressions of both clouds have in common: how a field names numbers. Pure.

use std::collections::BTreeSet;

pub(super) const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
pub(super) const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The numbers that a field names: single ones, ranges and steps, behind commas. `words` stand for numbers from `low` on. None for what
/// cannot be read.
pub(super) fn numbers(field: &str, low: i8, high: i8, words: &[&str]) -> Option<BTreeSet<i8>> {
    let number = |text: &str| -> Option<i8> {
        let mut all = words.iter();
        let word = all.position(|word| word.eq_ignore_ascii_case(text));
        let named = word.and_then(|at| i8::try_from(at).ok()).map(|at| at + low);
        let number = named.or_else(|| text.parse().ok())?;
        (low..=high).contains(&number).then_some(number)
    };
    let mut numbers = BTreeSet::new();
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (item, 1),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None if range == "*" => (low, high),
            None if item.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        numbers.extend((from..=to).step_by(step));
    }
    Some(numbers)
}
