//! A model of the algebra that is written another way: by texts of letters, where the real one keeps counts.

use super::{
    tests::{made, read},
    *,
};

/// The first word of the end of a series, or nothing: what is true of a text of letters, asked of each of its beginnings.
fn model(measure: &Measure, letters: &str) -> &'static str {
    let number = |text: &str, letter: char| text.matches(letter).count() as u32;
    let trailing =
        |text: &str, letter: char| (text.len() - text.trim_end_matches(letter).len()) as u32;
    let ends_with = |text: &str| -> &'static str {
        let made = number(text, 'S') + number(text, 'F') + number(text, 'I');
        let is_in_row = |limit: u32| trailing(text, 'S') >= limit;
        if measure
            .failure_limit
            .is_some_and(|limit| number(text, 'F') > limit)
        {
            return "failed";
        }
        if number(text, 'I') > measure.inconclusive_limit {
            return "inconclusive";
        }
        if trailing(text, 'E') > measure.error_limit {
            return "error";
        }
        match (measure.success_limit, measure.count) {
            (Some(limit), _) if is_in_row(limit) => "passed",
            (_, Some(count)) if made < count => "",
            (Some(_), Some(_)) if measure.failure_limit.is_none() => "failed",
            (Some(_), Some(_)) => "inconclusive",
            (None, Some(_)) if !text.contains('S') => "inconclusive",
            (None, Some(_)) => "passed",
            (_, None) => "",
        }
    };
    let beginnings = (1..=letters.len()).map(|end| ends_with(&letters[..end]));
    let first = beginnings.into_iter().find(|end| !end.is_empty());
    first.unwrap_or(match measure.is_endless() && letters.contains('S') {
        true => "watching",
        false => "pending",
    })
}

/// Every measure of small numbers.
fn measures() -> Vec<Measure> {
    let mut all = vec![Measure::default()];
    let mut vary = |set: &[fn(&mut Measure)]| {
        let varied = |measure: &Measure| {
            let each = set.iter().map(|set| {
                let mut varied = measure.clone();
                set(&mut varied);
                varied
            });
            each.collect::<Vec<_>>()
        };
        all = all.iter().flat_map(varied).collect();
    };
    vary(&[
        |it| it.count = None,
        |it| it.count = Some(1),
        |it| it.count = Some(3),
    ]);
    vary(&[
        |it| it.failure_limit = None,
        |it| it.failure_limit = Some(0),
        |it| it.failure_limit = Some(1),
    ]);
    vary(&[|it| it.error_limit = 0, |it| it.error_limit = 1]);
    vary(&[
        |it| it.inconclusive_limit = 0,
        |it| it.inconclusive_limit = 1,
    ]);
    vary(&[
        |it| it.success_limit = None,
        |it| it.success_limit = Some(1),
        |it| it.success_limit = Some(2),
    ]);
    all
}

/// Every text of at most so many of the letters.
fn texts(letters: &str, longest: u32) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..longest {
        let longer: Vec<String> = all[from..]
            .iter()
            .flat_map(|text| letters.chars().map(move |letter| format!("{text}{letter}")))
            .collect();
        from = all.len();
        all.extend(longer);
    }
    all
}

fn word(verdict: Verdict) -> String {
    let told = read(verdict);
    told.split([':', ' ']).next().unwrap_or_default().to_owned()
}

#[test]
fn every_short_series_under_every_small_measure_ends_as_the_model_says() {
    let texts = texts("SFEI", 5);
    for measure in measures() {
        for letters in &texts {
            let told = verdict(
                &measure,
                &[CloudName::Aws],
                Timestamp::default(),
                &made(letters),
            );
            assert_eq!(
                word(told),
                model(&measure, letters),
                "{letters} {measure:?}"
            );
        }
    }
}

#[test]
fn two_targets_stand_as_the_worse_of_them_does() {
    let ranks = [
        "passed",
        "watching",
        "pending",
        "inconclusive",
        "error",
        "failed",
    ];
    let rank = |word: &str| ranks.iter().position(|it| *it == word).unwrap();
    let texts = texts("SFEIsfei", 3);
    for measure in measures() {
        for letters in &texts {
            let told = verdict(
                &measure,
                &CloudName::ALL,
                Timestamp::default(),
                &made(letters),
            );
            let of = |is: fn(&char) -> bool| letters.chars().filter(is).collect::<String>();
            let aws = model(&measure, &of(char::is_ascii_uppercase));
            let azure = of(char::is_ascii_lowercase).to_ascii_uppercase();
            let azure = model(&measure, &azure);
            let worse = if rank(aws) > rank(azure) { aws } else { azure };
            assert_eq!(word(told), worse, "{letters} {measure:?}");
        }
    }
}
