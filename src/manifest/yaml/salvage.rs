//! What can still be read of a text that is not YAML: its kind and its name, by their usual look.

/// What a broken document says of itself. Only good enough to know what must be left alone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::manifest) struct Salvaged {
    pub(in crate::manifest) kind: Option<String>,
    pub(in crate::manifest) name: Option<String>,
}

pub(in crate::manifest) fn salvage(text: &str) -> Salvaged {
    let kind = text
        .lines()
        .find_map(|line| line.strip_prefix("kind:").and_then(word));
    Salvaged {
        kind,
        name: name_of(text),
    }
}

/// The `name` under `metadata`, in block or flow style.
fn name_of(text: &str) -> Option<String> {
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.strip_prefix("metadata:"))?;
    let is_inside = |line: &&str| line.starts_with([' ', '\t', '}']) || line.trim().is_empty();
    let below = lines.take_while(is_inside);
    std::iter::once(rest).chain(below).find_map(named)
}

fn named(line: &str) -> Option<String> {
    let line = line.trim_start_matches([' ', '\t', '{', ',']);
    let starts = |at: usize| at == 0 || line[..at].ends_with([' ', '{', ',', '"', '\'']);
    let (at, found) = line.match_indices("name").find(|(at, _)| starts(*at))?;
    let rest = line[at + found.len()..].trim_start_matches(['"', '\'']);
    word(rest.trim_start().strip_prefix(':')?)
}

/// The first word, without quotes and what flow style puts behind it.
fn word(rest: &str) -> Option<String> {
    let is_part = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let rest = rest.trim_start().trim_start_matches(['"', '\'']);
    let word: String = rest.chars().take_while(is_part).collect();
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_text_still_says_what_it_is() {
        let texts = [
            "kind: Service\nmetadata: { name: stock }\nspec: [",
            "kind: \"Service\"\nmetadata:\n  labels: { a: b }\n  name: 'stock' # x\n\tspec",
            "metadata: {labels: {}, \"name\": stock}\nkind:   Service\n}}",
        ];
        for text in texts {
            let salvaged = salvage(text);
            assert_eq!(salvaged.kind.as_deref(), Some("Service"), "{text}");
            assert_eq!(salvaged.name.as_deref(), Some("stock"), "{text}");
        }
        assert_eq!(salvage("hello\nname: x"), Salvaged::default());
    }
}
