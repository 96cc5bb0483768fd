//! Keys whose answer is always the same, as lists: `= VERDICT: what is said` and the keys that it is said of, where `*` is any key and `[]`
//! any item.

use super::report::Verdict;

const AWS: &str = include_str!("aws.txt");
const AZURE: &str = include_str!("azure.txt");

/// The keys of a dialect.
#[derive(Debug)]
pub(super) struct Catalogue {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    pattern: Vec<&'static str>,
    verdict: Verdict,
    told: &'static str,
}

impl Catalogue {
    pub(super) fn aws() -> Self {
        Self { lines: read(AWS) }
    }

    pub(super) fn azure() -> Self {
        Self { lines: read(AZURE) }
    }

    /// What is said of a key; the answer that names the most of its way.
    pub(super) fn look_up(&self, path: &str) -> Option<(Verdict, &'static str)> {
        let path = segments(path);
        let fitting = self
            .lines
            .iter()
            .filter(|line| line.pattern.len() == path.len() && fits(&line.pattern, &path));
        let named = |line: &&Line| line.pattern.iter().filter(|part| **part != "*").count();
        fitting
            .max_by_key(named)
            .map(|line| (line.verdict, line.told))
    }

    /// Whether something is said of keys below this one.
    pub(super) fn is_opened(&self, path: &str) -> bool {
        let path = segments(path);
        self.lines
            .iter()
            .any(|line| line.pattern.len() > path.len() && fits(&line.pattern, &path))
    }
}

/// Whether a pattern goes the way of a path, as far as both go.
fn fits(pattern: &[&str], path: &[String]) -> bool {
    let mut pairs = pattern.iter().zip(path);
    pairs.all(|(pattern, part)| pattern == part || (*pattern == "*" && part != "[]"))
}

/// `functions.stock.events[0]."a.b"` is `functions`, `stock`, `events`, `[]` and `a.b`.
fn segments(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut is_quoted, mut is_index) = (false, false);
    for c in path.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(String::new()),
            '[' if !is_quoted => {
                parts.push("[]".to_owned());
                is_index = true;
            }
            ']' if is_index => is_index = false,
            _ if is_index => {}
            c => {
                if let Some(last) = parts.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    parts
}

/// What does not read as an answer or a key has none; a test says that there is no such line.
fn read(text: &'static str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut answer = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(said) = line.strip_prefix("= ") {
            answer = said
                .split_once(": ")
                .and_then(|(word, told)| Some((verdict(word)?, told)));
        } else if let Some((verdict, told)) = answer {
            lines.push(Line {
                pattern: line.split('.').collect(),
                verdict,
                told,
            });
        }
    }
    lines
}

fn verdict(word: &str) -> Option<Verdict> {
    match word {
        "not possible" => Some(Verdict::NotPossible),
        "changed" => Some(Verdict::Changed),
        "not needed" => Some(Verdict::NotNeeded),
        "taken" => Some(Verdict::Taken),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_lists_reads() {
        for text in [AWS, AZURE] {
            for line in text.lines().filter_map(|line| line.strip_prefix("= ")) {
                let word = line.split_once(": ").and_then(|(word, _)| verdict(word));
                assert!(word.is_some(), "{line}");
            }
            let first = text.lines().next().unwrap();
            assert!(first.starts_with("= "), "{first}");
        }
    }

    #[test]
    fn the_answer_that_names_the_most_is_given() {
        assert_eq!(segments("a.b[12].\"c.d\""), ["a", "b", "[]", "c.d"]);
        let catalogue = Catalogue::aws();
        assert!(catalogue.look_up("provider.stackName").is_some());
        assert!(catalogue.look_up("provider.none").is_none());
        assert!(catalogue.is_opened("provider"));
        assert!(catalogue.is_opened("functions.any"));
        assert!(!catalogue.is_opened("functions.any.none"));
    }
}
