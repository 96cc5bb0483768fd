//! Where things must come to rest when all troubles are over.

use verdigris::name::ReleaseDigest;

use super::{Asked, Checker, Facts, Wanted, turn::meet};

/// What the daemon tells of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) is_rolling: bool,
    pub(crate) rejected: Vec<ReleaseDigest>,
    pub(crate) pin: Option<ReleaseDigest>,
    pub(crate) live: Option<ReleaseDigest>,
    /// The sentence that stands between the newest commit and users.
    pub(crate) why: String,
}

/// What a service must look like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Rest {
    /// Every blue holds this.
    Blue(Option<ReleaseDigest>),
    /// Every blue was given this; what became of it since is only watched.
    Given(ReleaseDigest),
    /// It waits for others, which do not come: every blue holds what is told to be live.
    Waiting(Option<ReleaseDigest>),
    /// No slot holds anything, and nothing is told of it.
    Gone,
    /// Nobody can say: what Git asked for is lost.
    Open,
    /// Nobody can say what blue holds, nor when its rollout ends: what it held was lost with the store, or is only watched while it waits.
    Lost,
}

impl Checker {
    /// Where a service must come to rest.
    ///
    /// # Errors
    ///
    /// What the daemon says holds it back, for no reason.
    pub(crate) fn rest(
        &self,
        service: usize,
        all: &[Told],
    ) -> Result<Rest, (&'static str, String)> {
        let facts = &self.services[service];
        let told = &all[service];
        match &facts.asked {
            Asked::Never => Ok(Rest::Open),
            Asked::Absent if self.is_too_much(facts) || self.is_needed(facts) => Ok(Rest::Open),
            // With the store, its name was lost; it is found by its tags, where some manifest says its environment.
            Asked::Absent if !facts.is_known && !self.is_named(facts.environment) => Ok(Rest::Open),
            Asked::Absent => Ok(Rest::Gone),
            Asked::Invalid(None) => Ok(Rest::Open),
            Asked::Wanted(wanted) | Asked::Invalid(Some(wanted)) => {
                let rest = facts.followed(wanted.release, told)?;
                // What was lost with the store, and is asked for no more, cannot be brought back.
                if facts.is_lost(told) {
                    return Ok(Rest::Lost);
                }
                // Nobody puts right what is only to be watched.
                let is_watched = wanted.is_observed_only();
                let goes_on = rest == Rest::Blue(Some(wanted.release));
                if goes_on && told.live != Some(wanted.release) && self.waits(service, all) {
                    // Where nothing was live, nothing is put right.
                    let is_touched = facts.is_edited || facts.is_left;
                    let is_lost = is_watched || told.live.is_none() && is_touched;
                    return Ok(match is_lost {
                        true => Rest::Lost,
                        false => Rest::Waiting(told.live),
                    });
                }
                Ok(match is_watched {
                    true if goes_on => Rest::Given(wanted.release),
                    true => Rest::Open,
                    false => rest,
                })
            }
        }
    }

    /// Whether a service waits for another one which is held, or waits itself.
    fn waits(&self, service: usize, all: &[Told]) -> bool {
        let facts = &self.services[service];
        let Some(wanted) = facts.asked.wanted() else {
            return false;
        };
        if self.never_opens(facts) {
            return true;
        }
        let others = self.services.iter().enumerate();
        let mut others = others.filter(|(other, _)| *other != service);
        others.any(|(other, it)| {
            let is_near = it.environment == facts.environment;
            let group = it.asked.wanted().and_then(|it| it.group.as_ref());
            let is_mate = is_near && wanted.group.is_some() && wanted.group.as_ref() == group;
            let is_needed = is_near && wanted.needs.contains(&it.key.service);
            let is_proof =
                facts.follows.is_some() && !is_near && it.key.service == facts.key.service;
            if is_mate {
                it.is_held(&all[other]) || self.waits_outside(other, all)
            } else {
                (is_needed || is_proof) && !it.is_in_place(&all[other])
            }
        })
    }

    /// Members of its group, and itself, have windows that are never open at the same time.
    fn never_opens(&self, facts: &Facts) -> bool {
        let group = facts.group();
        let is_member = |it: &&Facts| it.environment == facts.environment && it.group() == group;
        let members = self.services.iter().filter(is_member);
        let calendars = members.filter_map(|it| it.asked.wanted()?.calendar);
        group.is_some() && !meet(&calendars.collect::<Vec<_>>())
    }

    /// The same, for a member of the group that is asked about: what members wait for in each other is no reason.
    fn waits_outside(&self, service: usize, all: &[Told]) -> bool {
        let facts = &self.services[service];
        let Some(wanted) = facts.asked.wanted() else {
            return false;
        };
        let mut others = self.services.iter().zip(all);
        others.any(|(it, told)| {
            let is_near = it.environment == facts.environment;
            let group = it.asked.wanted().and_then(|it| it.group.as_ref());
            let is_needed =
                is_near && wanted.needs.contains(&it.key.service) && group != wanted.group.as_ref();
            let is_proof =
                facts.follows.is_some() && !is_near && it.key.service == facts.key.service;
            (is_needed || is_proof) && !it.is_in_place(told)
        })
    }

    /// Git names something in an environment.
    fn is_named(&self, environment: usize) -> bool {
        let wanted = |it: &Facts| matches!(it.asked, Asked::Wanted(_));
        let mut all = self.services.iter();
        all.any(|it| it.environment == environment && wanted(it))
    }

    /// Something that is still there needs it, and goes first.
    fn is_needed(&self, facts: &Facts) -> bool {
        let needs_it = |it: &&Facts| {
            let newest = it.newest.as_ref();
            it.is_known
                && it.environment == facts.environment
                && newest.is_some_and(|wanted| wanted.needs.contains(&facts.key.service))
        };
        self.services.iter().any(|it| needs_it(&it))
    }

    /// Whether some order is on its way or at work, whoever sent it: one of a daemon that has died may arrive yet.
    pub(crate) fn is_writing(&self) -> bool {
        self.at_work > 0
    }

    fn is_too_much(&self, facts: &Facts) -> bool {
        let all = self.services.iter();
        let known = all.filter(|it| it.environment == facts.environment && it.is_known);
        let absent = |it: &&Facts| matches!(it.asked, Asked::Absent);
        known.clone().filter(absent).count() * 2 > known.count()
    }
}

impl Facts {
    fn is_lost(&self, told: &Told) -> bool {
        let mut back = self.live.into_iter().chain(told.live);
        back.any(|live| !self.known.contains(&live))
    }

    fn is_held(&self, told: &Told) -> bool {
        let wanted = self.asked.wanted().map(|wanted| wanted.release);
        if self.is_as_asked(told) {
            return false;
        }
        self.is_lost(told)
            || told.pin.is_some()
            || wanted.is_some_and(|wanted| told.rejected.contains(&wanted))
    }

    /// The same, and blue is sure to be put right.
    fn is_in_place(&self, told: &Told) -> bool {
        let is_watched = self.asked.wanted().is_some_and(Wanted::is_observed_only);
        self.is_as_asked(told) && !is_watched
    }

    fn is_as_asked(&self, told: &Told) -> bool {
        let wanted = self.asked.wanted().map(|wanted| wanted.release);
        wanted.is_some() && told.live == wanted && !told.is_rolling
    }

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
            let is_touched = self.is_edited || self.is_left || !self.was_live.is_empty();
            let is_known = self.live.is_some() || !is_touched;
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
