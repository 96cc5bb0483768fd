//! Flex Consumption, whose apps have no slots: a service is two Function Apps, `…-a` and `…-b`, and a pointer says which of them is blue.
//!
//! The pointer is a tag on both apps. The word of `…-a` counts, and that of `…-b` where `…-a` is not there or says nothing, so that the
//! loss of an app or of our store loses no truth. Whoever routes users needs to know nothing of it: the addresses that are observed of
//! blue are those of the app that is blue.
//!
//! # Caveats
//!
//! An app has a plan of its own, since such a plan holds one app, and a container of its own for its package.
//!
//! Queues and schedules are given to the coming blue before the pointer moves, and taken from the going one after that, and after an API in
//! front leads to the coming one, so that users meet no app that restarts. In between both read: a message goes to one of them; a schedule
//! that is due in that moment runs on both.

mod app;
mod seat;
mod turn;

pub(super) use self::{
    app::{FlexApp, always_ready, flex_config, has_container, most_of},
    seat::Seat,
    turn::word_of,
};
use super::names::{Names, Tags, tag};
use crate::name::ServiceName;

/// Which of the two apps is blue.
pub(super) const BLUE_TAG: &str = "verdigris-blue";

/// One of the two apps; as a number, its place in a pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Twin {
    A,
    B,
}

impl Twin {
    pub(super) const ALL: [Self; 2] = [Self::A, Self::B];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|twin| twin.word() == word)
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl Names {
    /// The apps of a service on a plan without slots.
    pub(super) fn twins(&self, service: &ServiceName) -> [String; 2] {
        let app = self.app(service);
        Twin::ALL.map(|twin| format!("{app}-{}", twin.word()))
    }
}

/// Which app is blue, by the tags of those that are there. Where no tag says it, `…-a`, as long as neither holds a release: else one
/// of them may have users, and nobody knows which.
fn pointer(tags: [Option<&Tags>; 2], holds: [bool; 2]) -> Option<Twin> {
    let mut tags = tags.into_iter().flatten();
    let said = tags.find_map(|tags| Twin::parse(tag(tags, BLUE_TAG)?));
    said.or_else(|| (holds == [false, false]).then_some(Twin::A))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_app_that_says_which_is_blue_is_believed() {
        let says = |word: &str| Tags::from([(BLUE_TAG.to_owned(), word.to_owned())]);
        let (a, b, nothing) = (says("a"), says("b"), Tags::new());
        let holding = [true, true];
        for (first, second, expected) in [
            (Some(&b), Some(&a), Some(Twin::B)),
            (Some(&a), None, Some(Twin::A)),
            (None, Some(&b), Some(Twin::B)),
            (Some(&nothing), Some(&b), Some(Twin::B)),
            (Some(&nothing), Some(&nothing), None),
        ] {
            assert_eq!(pointer([first, second], holding), expected);
        }
        let nobody = [Some(&nothing), None];
        assert_eq!(pointer(nobody, [false, false]), Some(Twin::A));
        assert_eq!(pointer(nobody, [false, true]), None);
    }
}
