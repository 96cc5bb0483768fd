//! Shares blue's requests between the release that it holds and the one on green, by weights on blue's aliases.

use super::super::{
    AwsCloud,
    lambda::{Pointing, Share},
    settings::alias,
    survey::{Pointer, Seen, all, blue_description},
};
use super::promote::holders;
use crate::{
    cloud::CloudError,
    name::{CloudName, Percent, ReleaseDigest, Slot},
    observed::Scope,
};

impl AwsCloud {
    /// Every function that both releases have gives the same share. Where one fails, the others keep theirs: the order is given again,
    /// or all are taken back.
    pub(in crate::cloud::aws) async fn shift_release(
        &self,
        scope: &Scope,
        release: ReleaseDigest,
        weight: Percent,
    ) -> Result<(), CloudError> {
        let seen = self.survey_anew(scope).await?;
        let seen: Vec<_> = seen
            .into_iter()
            .map(Seen::not_foreign)
            .collect::<Result<_, _>>()?;
        if weight.is_none() {
            let blues = seen
                .iter()
                .filter_map(|it| it.blue.as_ref().map(|b| (it, b)));
            return all(blues.map(|(it, blue)| self.share(it, blue, None)).collect())
                .await
                .map(drop);
        }
        let mut shares = Vec::new();
        for holder in holders(&seen, release)? {
            let blue = holder.seen.blue.as_ref();
            if let Some(blue) = blue.filter(|blue| !blue.holds(release)) {
                can_share(holder.seen, blue, holder.pointer)?;
                let version = &holder.pointer.version;
                shares.push((holder.seen, blue, Share { version, weight }));
            }
        }
        let shares = shares.into_iter();
        all(shares
            .map(|(seen, blue, share)| self.share(seen, blue, Some(share)))
            .collect())
        .await
        .map(drop)
    }

    /// Guarded by the revision of the alias that was read, so that nobody else's change is lost. Quiet where it is so already.
    async fn share(
        &self,
        seen: &Seen,
        blue: &Pointer,
        share: Option<Share<'_>>,
    ) -> Result<(), CloudError> {
        if blue.detail.gives(share) {
            return Ok(());
        }
        let pointing = Pointing {
            name: &seen.name,
            alias: alias(Slot::Blue),
            version: &blue.version,
            description: blue_description(blue.detail.previous.as_deref()),
            share,
        };
        let guard = blue.detail.revision_id.clone();
        let shared = self.lambda.update_alias(pointing, guard).await;
        // Also after an error: we may know less than before.
        self.forget(&seen.name);
        shared.map(drop)
    }
}

/// Lambda shares the requests of an alias only between versions of one role, whose failed calls go to one place. An address that
/// passes answers on as they are made understands no others.
fn can_share(seen: &Seen, blue: &Pointer, canary: &Pointer) -> Result<(), CloudError> {
    let streams = |it: &Pointer| it.marks.http.as_ref().is_some_and(|http| http.stream);
    if streams(blue) && !streams(canary) {
        return Err(CloudError::Invalid {
            cloud: CloudName::Aws,
            operation: format!("a canary of `{}`", seen.name),
            message:
                "an address that streams shows answers in one piece as they are, headers and all: \
                      let the end of `stream` go with `strategy: blueGreen`"
                    .to_owned(),
        });
    }
    if !blue.settings.extras.fails_like(&canary.settings.extras) {
        return Err(CloudError::Invalid {
            cloud: CloudName::Aws,
            operation: format!("a canary of `{}`", seen.name),
            message: "Lambda shares requests between versions of one dead letter only: \
                      let this change of `deadLetter` go with `strategy: blueGreen`"
                .to_owned(),
        });
    }
    if blue.settings.role == canary.settings.role {
        return Ok(());
    }
    Err(CloudError::Invalid {
        cloud: CloudName::Aws,
        operation: format!("a canary of `{}`", seen.name),
        message: format!(
            "Lambda shares requests between versions of one role only, and the role changes from {} to {}: \
             let this change go with `strategy: blueGreen`",
            blue.settings.role, canary.settings.role
        ),
    })
}
