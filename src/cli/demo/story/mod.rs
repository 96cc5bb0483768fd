//! The story, step by step. Each step looks by itself whether what it tells is so.

mod blue;
mod broken;
mod change;
mod drift;
mod narrator;
mod opening;
mod outage;
mod rollback;

use std::fmt;

use self::narrator::Narrator;
use super::{stage::Stage, teller::Teller};

/// The story went another way.
#[derive(Debug)]
pub(super) struct Twist {
    expected: String,
    seen: String,
}

pub(super) type Result<T = ()> = std::result::Result<T, Twist>;

impl Twist {
    fn new(expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            seen: seen.into(),
        }
    }
}

impl fmt::Display for Twist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, seen } = self;
        write!(f, "expected that {expected}; seen: {seen}")
    }
}

/// Says yes, or how the story went instead.
fn check(is_so: bool, expected: impl Into<String>, seen: impl FnOnce() -> String) -> Result {
    if is_so {
        return Ok(());
    }
    Err(Twist::new(expected, seen()))
}

/// Tells the whole story.
///
/// # Errors
///
/// The first step that did not go as told.
pub(super) async fn tell(stage: &Stage, teller: &Teller<'_>) -> Result {
    let mut narrator = Narrator::new(stage, teller)?;
    opening::tell(&narrator).await?;
    narrator.send_users()?;
    let second = Box::pin(change::tell(&narrator)).await?;
    Box::pin(broken::tell(&narrator, second)).await?;
    let third = Box::pin(outage::tell(&narrator, second)).await?;
    Box::pin(rollback::tell(&narrator, second, third)).await?;
    narrator.send_users_home().await;
    Box::pin(drift::tell(&narrator, second)).await
}
