//! Step 2: a merged change goes green, through the gates, and blue on both clouds. What it does not touch stays as it is.

use super::{
    Result, check,
    narrator::{Narrator, key_of},
};
use crate::{cli::screen::Tone, name::ReleaseDigest, rollout::phase::Phase};

/// The release that is live afterwards.
pub(super) async fn tell(narrator: &Narrator<'_>) -> Result<ReleaseDigest> {
    narrator.teller.chapter(2, "A change is merged");
    let before = narrator.newest_rollout().await;
    let others = others(narrator).await?;
    narrator.tally();
    narrator.edit(
        "services/price/server.c",
        &[
            (r#"VERSION "v1""#, r#"VERSION "v2""#),
            (r#"{"44", 4999}}"#, r#"{"44", 4999}, {"45", 1990}}"#),
        ],
    )?;
    narrator.commit("price: we sell 45 now")?;
    let rollout = narrator.rollout_after(before).await?;
    check(
        matches!(rollout.phase, Phase::Live),
        "the change goes live",
        || narrator.standing(),
    )?;
    let release = rollout.release;
    narrator
        .check_blues(&narrator.hero, release, &[("/version", "v2".into())])
        .await?;
    let mut new = narrator.hero.clone();
    new.path = "price/45";
    narrator
        .check_blues(&new, release, &[("/cents", 1990.into())])
        .await?;
    narrator.line(
        Tone::Good,
        "price",
        "v2 is live on both clouds, and quotes 45",
    );
    check(
        self::others(narrator).await? == others,
        "other services do not move",
        || "one did".to_owned(),
    )?;
    if !others.is_empty() {
        narrator.line(
            Tone::Quiet,
            "others",
            "did not move: their sources are the same",
        );
    }
    narrator.tell_users(&narrator.tally())?;
    Ok(release)
}

/// Release and newest rollout of each service that is not the hero.
async fn others(narrator: &Narrator<'_>) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for shown in &narrator.stage.shown {
        let key = key_of(shown)?;
        if key == narrator.key {
            continue;
        }
        let live = narrator.report(&key)?.status.releases.live;
        let rollout = narrator.stage.daemon.handle.rollout(&key).await;
        told.push(format!(
            "{key} {live:?} {:?}",
            rollout.map(|rollout| rollout.id)
        ));
    }
    Ok(told)
}
