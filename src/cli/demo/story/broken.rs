//! Step 3: a broken change is rejected by its gate, and blue does not notice.

use super::{Result, check, narrator::Narrator};
use crate::{
    cli::screen::Tone,
    name::ReleaseDigest,
    rollout::phase::{Phase, StopReason},
    status::service::rollout::{GatePhase, detail},
};

pub(super) async fn tell(narrator: &Narrator<'_>, live: ReleaseDigest) -> Result {
    narrator.teller.chapter(3, "A broken change is merged");
    let before = narrator.newest_rollout().await;
    narrator.tally();
    narrator.edit(
        "services/price/server.c",
        &[
            (r#"VERSION "v2""#, r#"VERSION "v3""#),
            (r#"{"42", 1250}"#, r#"{"42", 125}"#),
        ],
    )?;
    narrator.commit("price: tidy up (and lose a digit)")?;
    let rollout = narrator.rollout_after(before).await?;
    let is_rejected =
        matches!(&rollout.phase, Phase::Rejected { why } if why.reason == StopReason::GateFailed);
    check(is_rejected, "a gate rejects the change", || {
        narrator.standing()
    })?;
    for gate in detail(&rollout).gates_detail {
        if gate.phase == GatePhase::Failed {
            narrator.line(Tone::Bad, "gate", &format!("{} failed on green", gate.name));
            narrator.teller.more(&gate.message.unwrap_or_default());
        }
    }
    narrator
        .check_blues(
            &narrator.hero,
            live,
            &[("/version", "v2".into()), ("/cents", 1250.into())],
        )
        .await?;
    let tally = narrator.tally();
    let others = tally.answers_of_others(live);
    check(others == 0, "users get answers of v2 only", || {
        format!("{others} answers of other releases")
    })?;
    narrator.line(
        Tone::Good,
        "price",
        "v3 is rejected; blue was not touched, v2 serves on both clouds",
    );
    narrator.tell_users(&tally)
}
