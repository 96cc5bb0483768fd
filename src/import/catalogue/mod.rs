//! Keys whose answer is always the same, as lists: `= VERDICT: what is said` and the keys that it is said of, where `*` is any key and `[]`
//! any item. `= part` lists keys that are read with the one above them and share what becomes of it. Beside them stand all keys that Serverless
//! documents, so that a misspelt one is found wherever it stands.

use super::report::Verdict;

const AWS: &str = include_str!("aws.txt");
const AZURE: &str = include_str!("azure.txt");
/// Keys of Serverless's own schema and reference.
const KNOWN_AWS: &str = include_str!("known/aws.txt");
const KNOWN_AZURE: &str = include_str!("known/azure.txt");

/// The keys of a dialect.
#[derive(Debug)]
pub(super) struct Catalogue {
    lines: Vec<Line>,
    parts: Vec<Pattern>,
    known: Vec<Pattern>,
}

type Pattern = Vec<&'static str>;

/// What is known of a key that has no answer of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It is read with the one above it.
    Part,
    /// Serverless documents it.
    Documented,
    /// Serverless documents others in its place.
    Stranger,
    /// People name the keys there.
    Free,
}

#[derive(Debug)]
struct Line {
    pattern: Pattern,
    verdict: Verdict,
    told: &'static str,
}

impl Catalogue {
    pub(super) fn aws() -> Self {
        Self::of(AWS, KNOWN_AWS)
    }

    pub(super) fn azure() -> Self {
        Self::of(AZURE, KNOWN_AZURE)
    }

    fn of(answers: &'static str, known: &'static str) -> Self {
        let (lines, parts) = read(answers);
        let known = known.lines().filter(|line| !line.is_empty());
        Self {
            lines,
            parts,
            known: known.map(pattern).collect(),
        }
    }

    pub(super) fn standing(&self, path: &str) -> Standing {
        let path = segments(path);
        let is_in = |patterns: &[Pattern]| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| pattern.len() >= path.len() && fits(pattern, &path))
        };
        let Some((last, above)) = path.split_last() else {
            return Standing::Free;
        };
        let is_part = |pattern: &Pattern| pattern.len() == path.len() && fits(pattern, &path);
        if self.parts.iter().any(is_part) {
            return Standing::Part;
        }
        if is_in(&self.known) {
            return Standing::Documented;
        }
        // What CloudFormation works out may stand anywhere.
        let is_call = last == "Ref" || last.starts_with("Fn::") || last == "[]";
        let is_beside = |pattern: &Pattern| pattern.len() == path.len() && fits(pattern, above);
        match !is_call && self.known.iter().any(is_beside) {
            true => Standing::Stranger,
            false => Standing::Free,
        }
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

fn pattern(line: &'static str) -> Pattern {
    line.split('.').collect()
}

/// What does not read as an answer or a key has none; a test says that there is no such line.
fn read(text: &'static str) -> (Vec<Line>, Vec<Pattern>) {
    let (mut lines, mut parts) = (Vec::new(), Vec::new());
    let mut answer = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(said) = line.strip_prefix("= ") {
            answer = said
                .split_once(": ")
                .and_then(|(word, told)| Some((verdict(word)?, told)));
        } else if let Some((verdict, told)) = answer {
            lines.push(Line {
                pattern: pattern(line),
                verdict,
                told,
            });
        } else {
            parts.push(pattern(line));
        }
    }
    (lines, parts)
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
                assert!(word.is_some() || line == "part", "{line}");
            }
            let first = text.lines().next().unwrap();
            assert!(first.starts_with("= "), "{first}");
        }
    }

    #[test]
    fn every_part_is_a_key_that_is_documented() {
        for catalogue in [Catalogue::aws(), Catalogue::azure()] {
            for part in &catalogue.parts {
                assert!(
                    catalogue.known.iter().any(|it| it.starts_with(part)),
                    "{part:?}"
                );
            }
        }
    }

    #[test]
    fn a_key_that_nobody_documents_is_a_stranger_beside_those_that_are() {
        let catalogue = Catalogue::aws();
        for (path, standing) in [
            ("functions.a.events[0].http.metod", Standing::Stranger),
            ("functions.a.events[0].sqs.arn.Fn::GetAtt", Standing::Free),
            ("functions.a.environment.ANY", Standing::Free),
            (
                "functions.a.events[0].http.request.schemas",
                Standing::Documented,
            ),
        ] {
            assert_eq!(catalogue.standing(path), standing, "{path}");
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
