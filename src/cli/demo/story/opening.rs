//! Step 1: the first commit goes live on both clouds.

use super::{
    Result, Twist, check,
    narrator::{Narrator, key_of},
};
use crate::{
    cli::{demo::example::Shown, screen::Tone},
    rollout::phase::Phase,
    status::condition::Truth,
};

pub(super) async fn tell(narrator: &Narrator<'_>) -> Result {
    narrator
        .teller
        .chapter(1, "A first commit goes live on both clouds");
    let names: Vec<_> = narrator
        .stage
        .shown
        .iter()
        .map(|shown| shown.name)
        .collect();
    let commit = narrator.stage.opening.short();
    let text = format!("{commit} \"The shop opens\": {}", names.join(", "));
    narrator.line(Tone::Strong, "commit", &text);
    // The hero's way is told move by move; the others go the same way at the same time.
    narrator.rollout_after(None).await?;
    for shown in &narrator.stage.shown {
        open(narrator, shown).await?;
    }
    narrator.line(
        Tone::Plain,
        "try it",
        "each service answers on either cloud",
    );
    for shown in &narrator.stage.shown {
        for (cloud, url) in narrator.stage.blues(&key_of(shown)?, shown) {
            let body = shown.body.map(|body| format!(" -d '{body}'"));
            let body = body.unwrap_or_default();
            narrator
                .teller
                .command(&format!("curl{body} {url}   # {cloud}"));
        }
    }
    Ok(())
}

/// Waits until a service is live, and looks whether it is.
async fn open(narrator: &Narrator<'_>, shown: &Shown) -> Result {
    let key = key_of(shown)?;
    let expected = format!("{key} goes live");
    let is_over = |report: &crate::status::ServiceReport| {
        report.ready() == Truth::True
            || report
                .status
                .rollout
                .as_ref()
                .is_some_and(|rollout| !rollout.active)
    };
    let report = narrator.until(&key, &expected, is_over).await?;
    let rollout = narrator.stage.daemon.handle.rollout(&key).await;
    let is_live = rollout.is_some_and(|rollout| matches!(rollout.phase, Phase::Live));
    check(is_live, expected, || report.status.why.clone())?;
    let release = report.status.releases.live;
    let release = release.ok_or_else(|| Twist::new(format!("{key} has a live release"), "none"))?;
    let (at, value) = shown.answers.clone();
    narrator
        .check_blues(shown, release, &[(at, value), ("/version", "v1".into())])
        .await?;
    let gates = report.status.rollout.as_ref().map(|rollout| rollout.gates);
    let gates = gates.unwrap_or_default();
    let all_passed = gates.passed == gates.total && gates.total > 0;
    check(all_passed, format!("all gates of {key} passed"), || {
        format!("{gates:?}")
    })?;
    let text = format!("live on both clouds, {} gates passed", gates.passed);
    narrator.line(Tone::Good, shown.name, &text);
    Ok(())
}
