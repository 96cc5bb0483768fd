//! Step 5: a person goes back. The release before is still on green, so it takes one move.

use tokio::time::Instant;

use super::{Result, check, narrator::Narrator};
use crate::{
    cli::screen::Tone,
    name::{CloudName, ReleaseDigest},
    rollout::phase::Phase,
};

pub(super) async fn tell(
    narrator: &Narrator<'_>,
    previous: ReleaseDigest,
    live: ReleaseDigest,
) -> Result {
    narrator
        .teller
        .chapter(5, "Somebody wants the old release back, now");
    let before = narrator.newest_rollout().await;
    narrator.tally();
    narrator.line(Tone::Strong, "a person", "verdigris rollback price");
    let start = Instant::now();
    narrator.act("rollback").await?;
    let is_back = |answer: &crate::cli::demo::ask::Answer| answer.release == previous.to_string();
    let [first, second] = CloudName::ALL;
    tokio::try_join!(
        narrator.until_blue(first, "the first cloud goes back", is_back),
        narrator.until_blue(second, "the second cloud goes back", is_back),
    )?;
    let took = start.elapsed();
    let rollout = narrator.rollout_after(before).await?;
    check(
        matches!(rollout.phase, Phase::Live),
        "the rollback ends well",
        || narrator.standing(),
    )?;
    narrator
        .check_blues(&narrator.hero, previous, &[("/version", "v2".into())])
        .await?;
    let text = format!("v2 serves on both clouds after {:.2} s", took.as_secs_f64());
    narrator.line(Tone::Good, "price", &text);
    let key = narrator.key.clone();
    let is_pinned = |report: &crate::status::ServiceReport| {
        report
            .status
            .pin
            .as_ref()
            .is_some_and(|pin| pin.held == Some(live))
    };
    narrator.until(&key, "v4 is held back", is_pinned).await?;
    narrator.line(
        Tone::Quiet,
        "Git",
        "still asks for v4, which is held back until something newer is merged",
    );
    narrator.tell_users(&narrator.tally())
}
