//! The release that a person means: by its digest or the first digits of it, by a commit, or by a rollout.

use crate::name::{ReleaseDigest, Revision};

/// Fewer digits are a slip of the finger.
const DIGITS_MIN: usize = 4;

/// A release that is kept, with a commit that asked for it and a rollout that took it somewhere.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub release: ReleaseDigest,
    pub revision: Revision,
    pub rollout: Option<u64>,
}

impl Candidate {
    fn is_called(&self, name: &str) -> bool {
        let Self {
            release,
            revision,
            rollout,
        } = self;
        let digits = name.strip_prefix("sha256:").unwrap_or(name);
        let starts = |hex: &str| digits.len() >= DIGITS_MIN && hex.starts_with(digits);
        rollout.is_some_and(|rollout| format!("r-{rollout}") == name)
            || starts(&release.hex())
            || starts(revision.commit.as_str())
            || revision.to_string() == name
            || revision.short() == name
    }
}

/// Finds the one release that a name means. A whole digest needs no finding.
///
/// # Errors
///
/// A name that none has, or several have.
pub fn find(name: &str, known: &[Candidate]) -> Result<ReleaseDigest, String> {
    if let Ok(digest) = name.parse() {
        return Ok(digest);
    }
    let called = known.iter().filter(|known| known.is_called(name));
    let mut found: Vec<ReleaseDigest> = called.map(|known| known.release).collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [release] => Ok(release),
        [] => Err(format!(
            "no release that is kept is called `{name}`: `history` lists those that were live, by rollout, digest and commit"
        )),
        [..] => {
            let several: Vec<String> = found.iter().map(ReleaseDigest::short).collect();
            Err(format!("`{name}` could be any of {}", several.join(", ")))
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]
mod tests {
    use super::*;

    fn candidate(name: &str, commit: &str, rollout: Option<u64>) -> Candidate {
        Candidate {
            release: ReleaseDigest::of(name.as_bytes()),
            revision: format!("main@sha1:{commit}").parse().unwrap(),
            rollout,
        }
    }

    #[test]
    fn a_release_is_named_by_digest_commit_or_rollout_and_never_guessed() {
        let (one, two) = ("1234".repeat(10), "1235".repeat(10));
        let known = [
            candidate("one", &one, Some(3)),
            candidate("one", &one, None),
            candidate("two", &two, Some(4)),
        ];
        let (first, second) = (known[0].release, known[2].release);
        let short = first.short();
        let full = format!("main@sha1:{two}");
        for (name, wanted) in [
            ("r-3", first),
            ("1234", first),
            (&short, first),
            (&first.to_string(), first),
            ("12351235", second),
            (&full, second),
        ] {
            assert_eq!(find(name, &known), Ok(wanted), "{name}");
        }
        for name in ["", "123", "r-5", "main", "sha256:", "zzzz"] {
            assert!(
                find(name, &known).unwrap_err().contains("no release"),
                "{name}"
            );
        }
        let mixed = [candidate("one", &one, None), candidate("three", &one, None)];
        assert!(
            find("1234", &mixed)
                .unwrap_err()
                .contains("could be any of")
        );
    }
}
