//! The end of what a command wrote: bounded, readable, and without the secrets that we know.

use secrecy::{ExposeSecret as _, SecretString};

use crate::rollout::evidence::cut_start;

/// Most of an output that is kept.
pub(super) const KEPT_MAX: usize = 64 * 1024;

/// More than is kept, so that a secret is not cut in two at the beginning and then missed.
const HELD_MAX: usize = KEPT_MAX + 16 * 1024;

/// Shorter values would hide half of an ordinary text.
const SECRET_MIN: usize = 4;

#[derive(Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Cut in large steps, so that each byte is moved at most once on average.
        if self.bytes.len() > 2 * HELD_MAX {
            self.cut();
        }
    }

    /// The text, and whether there was more.
    pub(super) fn finish(mut self, secrets: &[SecretString]) -> (String, bool) {
        self.cut();
        let mut text = plain(&String::from_utf8_lossy(&self.bytes));
        let known = secrets.iter().map(SecretString::expose_secret);
        for secret in known.filter(|secret| secret.len() >= SECRET_MIN) {
            text = text.replace(secret, "(hidden)");
        }
        let is_cut = self.is_cut || text.len() > KEPT_MAX;
        cut_start(&mut text, KEPT_MAX);
        (text, is_cut)
    }

    fn cut(&mut self) {
        let excess = self.bytes.len().saturating_sub(HELD_MAX);
        self.is_cut |= excess > 0;
        self.bytes.drain(..excess);
    }
}

/// Without colours and other orders to a terminal.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                // A sequence ends with its first letter or the like.
                chars.by_ref().find(|c| ('@'..='~').contains(c));
            }
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(pieces: &[&str], secrets: &[&str]) -> (String, bool) {
        let mut tail = Tail::default();
        pieces.iter().for_each(|piece| tail.push(piece.as_bytes()));
        let secrets: Vec<SecretString> = secrets
            .iter()
            .map(|secret| SecretString::from(*secret))
            .collect();
        tail.finish(&secrets)
    }

    #[test]
    fn colours_and_secrets_are_left_out() {
        let (text, is_cut) = tail(
            &["a \u{1b}[1;31mred\u{1b}[0m\r\n", "tok", "en-123 ok\u{7}"],
            &["token-123", "a"],
        );
        assert_eq!((text.as_str(), is_cut), ("a red\n(hidden) ok", false));
    }

    #[test]
    fn only_the_end_is_kept() {
        let line = format!("{}\n", "x".repeat(1023));
        let mut pieces = vec![line.as_str(); 500];
        pieces.push("the end");
        let (text, is_cut) = tail(&pieces, &[]);
        assert!(text.ends_with("x\nthe end") && is_cut);
        assert_eq!(text.len(), KEPT_MAX);
    }
}
