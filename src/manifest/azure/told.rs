//! What may be told of an app to people. Pure.

use super::{AzureApp, Sticky};
use crate::{manifest::spec::EnvValue, name::CodeDigest};

impl AzureApp {
    /// The same with the first digits of a digest in the place of every value that may be secret.
    #[must_use]
    pub fn told(&self) -> Self {
        let mut told = self.clone();
        for value in told.settings.values_mut() {
            *value = hidden(value);
        }
        for Sticky { blue, green } in told.sticky.values_mut() {
            for value in [blue, green].into_iter().flatten() {
                if let EnvValue::Plain(text) = value {
                    *text = hidden(text);
                }
            }
        }
        told
    }
}

fn hidden(text: &str) -> String {
    CodeDigest::of(text.as_bytes()).short()
}
