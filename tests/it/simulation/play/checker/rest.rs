//! Where things must come to rest when all troubles are over.

use verdigris::name::ReleaseDigest;

use super::{Asked, Checker, Facts};

/// What the daemon tells of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) is_rolling: bool,
    pub(crate) rejected: Vec<ReleaseDigest>,
    pub(crate) pin: Option<ReleaseDigest>,
    pub(crate) live: Option<ReleaseDigest>,
}

/// What a service must look like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Rest {
    /// Every blue holds this.
    Blue(Option<ReleaseDigest>),
    /// No slot holds anything, and nothing is told of it.
    Gone,
    /// Nobody can say: what Git asked for is lost.
    Open,
}

impl Checker {
    /// Where a service must come to rest.
    ///
    /// # Errors
    ///
    /// What the daemon says holds it back, for no reason.
    pub(crate) fn rest(&self, service: usize, told: &Told) -> Result<Rest, (&'static str, String)> {
        let facts = &self.services[service];
        match &facts.asked {
            Asked::Never => Ok(Rest::Open),
            Asked::Absent if self.is_too_much(facts) => Ok(Rest::Open),
            Asked::Absent => Ok(Rest::Gone),
            Asked::Invalid(None) => Ok(Rest::Open),
            Asked::Wanted(wanted) | Asked::Invalid(Some(wanted)) => {
                facts.followed(wanted.release, told)
            }
        }
    }

    /// Whether some order is on its way or at work.
    pub(crate) fn is_writing(&self) -> bool {
        let sides = self.services.iter().flat_map(|facts| &facts.sides);
        sides.into_iter().any(|side| side.writing.is_some())
    }

    fn is_too_much(&self, facts: &Facts) -> bool {
        let all = self.services.iter();
        let known = all.filter(|it| it.environment == facts.environment && it.is_known);
        let absent = |it: &&Facts| matches!(it.asked, Asked::Absent);
        known.clone().filter(absent).count() * 2 > known.count()
    }
}

impl Facts {
    fn followed(&self, wanted: ReleaseDigest, told: &Told) -> Result<Rest, (&'static str, String)> {
        const LAW: &str = "git is followed";
        if let Some(pin) = told.pin {
            if self.is_rolled_back || self.is_forgetful {
                return Ok(Rest::Blue(Some(pin)));
            }
            let told = format!("{} is pinned, and nobody rolled it back", self.name);
            return Err((LAW, told));
        }
        if !told.rejected.contains(&wanted) {
            return Ok(Rest::Blue(Some(wanted)));
        }
        if self.excuses.contains_key(&wanted) || self.is_edited || self.is_forgetful {
            // With nothing that was live there is nothing to go back to: what people put on blue, or what stood there before the store was
            // lost, is left alone.
            let is_known = self.live.is_some() || self.was_live.is_empty() && !self.is_edited;
            return Ok(if is_known {
                Rest::Blue(self.live)
            } else {
                Rest::Open
            });
        }
        let told = format!(
            "{} rejects {}, and nothing went wrong",
            self.name,
            wanted.short()
        );
        Err((LAW, told))
    }
}
