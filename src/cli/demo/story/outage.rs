//! Step 4: one cloud fails in the middle of a promotion, and both end on the old release. Then it is well again, and both go on.

use serde_json::json;

use super::{Result, check, narrator::Narrator};
use crate::{
    cli::screen::Tone,
    name::{CloudName, ReleaseDigest},
    rollout::phase::{Phase, StopReason},
};

/// The release that is live afterwards.
pub(super) async fn tell(narrator: &Narrator<'_>, live: ReleaseDigest) -> Result<ReleaseDigest> {
    narrator
        .teller
        .chapter(4, "One cloud fails in the middle of a promotion");
    let before = narrator.newest_rollout().await;
    narrator.tally();
    let azure = narrator.stage.azure_url();
    let fault = json!([{
        "operation": "slotsswap",
        "error": { "status": 500, "code": "InternalServerError", "message": "the region has a bad day" },
    }]);
    narrator.misbehave(azure, fault).await?;
    narrator.line(
        Tone::Busy,
        "Azure",
        "answers every swap with 500 from now on",
    );
    narrator.edit(
        "services/price/server.c",
        &[
            (r#"VERSION "v3""#, r#"VERSION "v4""#),
            (r#"{"42", 125}"#, r#"{"42", 1250}"#),
        ],
    )?;
    narrator.commit("price: the digit is back")?;
    let rollout = narrator.rollout_after(before).await?;
    let is_back = matches!(&rollout.phase, Phase::RolledBack { why } if why.reason == StopReason::PromotionFailed);
    check(is_back, "the promotion is taken back", || {
        narrator.standing()
    })?;
    let why = rollout.phase.why().map(|why| why.message.clone());
    narrator.line(Tone::Bad, "failed", &why.unwrap_or_default());
    let tally = narrator.tally();
    let early = tally.answers(CloudName::Aws, rollout.release);
    check(early > 0, "AWS moved before Azure failed", || {
        "no answer of v4".to_owned()
    })?;
    let late = tally.answers(CloudName::Azure, rollout.release);
    check(late == 0, "Azure did not move", || {
        format!("{late} answers of v4")
    })?;
    narrator
        .check_blues(&narrator.hero, live, &[("/version", "v2".into())])
        .await?;
    let text = format!("had moved and gave {early} answers of v4 before it went back");
    narrator.line(Tone::Quiet, "AWS", &text);
    narrator.line(
        Tone::Good,
        "price",
        "both clouds or neither: v2 serves on both",
    );
    narrator.tell_users(&tally)?;
    recover(narrator, rollout.release).await
}

async fn recover(narrator: &Narrator<'_>, release: ReleaseDigest) -> Result<ReleaseDigest> {
    let before = narrator.newest_rollout().await;
    narrator
        .misbehave(narrator.stage.azure_url(), json!([]))
        .await?;
    narrator.line(Tone::Plain, "Azure", "is well again");
    narrator.line(Tone::Strong, "a person", "verdigris retry price");
    narrator.act("retry").await?;
    let rollout = narrator.rollout_after(before).await?;
    check(
        matches!(rollout.phase, Phase::Live),
        "the retry goes live",
        || narrator.standing(),
    )?;
    narrator
        .check_blues(&narrator.hero, release, &[("/version", "v4".into())])
        .await?;
    narrator.line(Tone::Good, "price", "v4 is live on both clouds");
    narrator.tell_users(&narrator.tally())?;
    Ok(release)
}
