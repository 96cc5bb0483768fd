//! The cases.

use std::{pin::Pin, sync::Arc};

use verdigris::{
    cloud::CloudError,
    manifest::strategy::can_weigh,
    name::{Percent, Slot},
    observed::{Observed, SlotContent},
};

use super::{
    Edit, Subject,
    release::{Fixture, Made, reorder, stock},
};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) run: fn(Arc<dyn Subject>, Fixture) -> Running,
}

impl Case {
    /// Whether it counts calls, so that no other may run beside it.
    pub(super) fn counts(&self) -> bool {
        ["doing_it_again_changes_nothing", "looking_writes_nothing"].contains(&self.name)
    }
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(super) fn all() -> Vec<Case> {
            vec![$(Case {
                name: stringify!($name),
                run: |subject, fixture| Box::pin($name(subject, fixture)),
            }),*]
        }
    };
}

cases![
    nothing_is_there_at_first,
    staging_fills_green_and_leaves_blue_alone,
    a_promoted_release_is_on_blue_as_asked_for,
    a_second_promotion_leaves_the_previous_on_green,
    rollback_is_a_promotion_of_the_previous,
    a_first_promotion_can_be_taken_back,
    doing_it_again_changes_nothing,
    looking_writes_nothing,
    a_release_takes_a_share_of_blue_and_gives_it_back,
    a_promotion_ends_a_share,
    a_share_of_what_is_not_staged_is_refused,
    an_old_release_is_staged_again,
    an_unknown_release_is_not_promoted,
    a_hand_edit_of_blue_is_seen_and_repaired,
    a_lost_function_is_seen_and_repaired,
    a_dropped_function_leaves_blue_and_comes_back,
    an_added_function_joins_and_leaves_again,
    foreign_resources_are_told_and_left_alone,
    pruning_takes_all_of_ours_and_nothing_else,
    the_inventory_lists_what_is_ours,
];

impl dyn Subject {
    async fn observe(&self, fixture: &Fixture) -> Observed {
        self.cloud().observe(&fixture.scope()).await.unwrap()
    }

    async fn stage(&self, made: &Made) {
        let staged = self.cloud().stage(&made.release, &made.package).await;
        staged.unwrap();
    }

    async fn promote(&self, fixture: &Fixture, made: &Made) {
        let scope = fixture.scope();
        let promoted = self.cloud().promote(&scope, made.release.digest).await;
        promoted.unwrap();
    }

    async fn shift(
        &self,
        fixture: &Fixture,
        made: &Made,
        weight: Percent,
    ) -> Result<(), CloudError> {
        let scope = fixture.scope();
        let cloud = self.cloud();
        cloud.shift(&scope, made.release.digest, weight).await
    }

    async fn go_live(&self, fixture: &Fixture, made: &Made) {
        self.stage(made).await;
        self.promote(fixture, made).await;
        self.assert_holds(fixture, Slot::Blue, made).await;
    }

    /// The slot holds the release, and every field is as asked for.
    async fn assert_holds(&self, fixture: &Fixture, slot: Slot, made: &Made) {
        let observed = self.observe(fixture).await;
        let content = match slot {
            Slot::Blue => &observed.blue,
            Slot::Green => &observed.green,
        };
        let Some(holding) = content.holding() else {
            panic!("{slot} should hold a release and is {content:?}");
        };
        assert_eq!(holding.release, made.release.digest, "{slot}");
        let expected = self.cloud().expected(&made.release, made.package.code);
        assert_eq!(holding.fields, expected, "{slot}");
        let revision = holding.revision.as_ref();
        assert_eq!(revision, Some(&made.release.revision), "{slot}");
        let http: Vec<_> = holding.addresses.keys().cloned().collect();
        assert_eq!(http, [stock()], "{slot}");
    }
}

async fn nothing_is_there_at_first(subject: Arc<dyn Subject>, fixture: Fixture) {
    assert_eq!(subject.observe(&fixture).await, Observed::default());
}

async fn staging_fills_green_and_leaves_blue_alone(subject: Arc<dyn Subject>, fixture: Fixture) {
    let one = fixture.release("one");
    subject.stage(&one).await;
    subject.assert_holds(&fixture, Slot::Green, &one).await;
    let observed = subject.observe(&fixture).await;
    assert_eq!(observed.blue, SlotContent::Empty);
    assert!(!observed.resources.is_empty());
    let two = fixture.release("two");
    subject.promote(&fixture, &one).await;
    subject.stage(&two).await;
    subject.assert_holds(&fixture, Slot::Green, &two).await;
    subject.assert_holds(&fixture, Slot::Blue, &one).await;
}

async fn a_promoted_release_is_on_blue_as_asked_for(subject: Arc<dyn Subject>, fixture: Fixture) {
    let one = fixture.release("one");
    subject.go_live(&fixture, &one).await;
    let green = subject.observe(&fixture).await.green.release();
    assert!(green.is_none_or(|green| green == one.release.digest));
}

async fn a_second_promotion_leaves_the_previous_on_green(
    subject: Arc<dyn Subject>,
    fixture: Fixture,
) {
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    subject.go_live(&fixture, &one).await;
    subject.go_live(&fixture, &two).await;
    subject.assert_holds(&fixture, Slot::Green, &one).await;
}

async fn rollback_is_a_promotion_of_the_previous(subject: Arc<dyn Subject>, fixture: Fixture) {
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    subject.go_live(&fixture, &one).await;
    subject.go_live(&fixture, &two).await;
    subject.promote(&fixture, &one).await;
    subject.assert_holds(&fixture, Slot::Blue, &one).await;
    subject.assert_holds(&fixture, Slot::Green, &two).await;
}

async fn a_first_promotion_can_be_taken_back(subject: Arc<dyn Subject>, fixture: Fixture) {
    let one = fixture.release("one");
    subject.go_live(&fixture, &one).await;
    for _ in 0..2 {
        let scope = fixture.scope();
        let retracted = subject.cloud().retract(&scope, one.release.digest).await;
        retracted.unwrap();
        assert_eq!(subject.observe(&fixture).await.blue, SlotContent::Empty);
    }
    subject.go_live(&fixture, &one).await;
}

async fn doing_it_again_changes_nothing(subject: Arc<dyn Subject>, fixture: Fixture) {
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    subject.go_live(&fixture, &one).await;
    subject.stage(&two).await;
    let writes = subject.writes();
    subject.stage(&two).await;
    assert_eq!(subject.writes(), writes, "staged twice");
    subject.promote(&fixture, &two).await;
    let writes = subject.writes();
    subject.promote(&fixture, &two).await;
    assert_eq!(subject.writes(), writes, "promoted twice");
    subject.assert_holds(&fixture, Slot::Green, &one).await;
}

async fn looking_writes_nothing(subject: Arc<dyn Subject>, fixture: Fixture) {
    let one = fixture.release("one");
    subject.go_live(&fixture, &one).await;
    let writes = subject.writes();
    let first = subject.observe(&fixture).await;
    assert_eq!(subject.observe(&fixture).await, first);
    subject.cloud().inventory().await.unwrap();
    assert_eq!(subject.writes(), writes);
}

/// On a cloud that cannot share, nothing is shared, and it says so.
async fn a_release_takes_a_share_of_blue_and_gives_it_back(
    subject: Arc<dyn Subject>,
    fixture: Fixture,
) {
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    subject.go_live(&fixture, &one).await;
    subject.stage(&two).await;
    let share = |percent| Percent::new(percent).unwrap();
    if !can_weigh(subject.cloud().name()) {
        let refused = subject.shift(&fixture, &two, share(10)).await;
        assert!(
            matches!(refused, Err(CloudError::Invalid { .. })),
            "{refused:?}"
        );
        subject.shift(&fixture, &two, Percent::NONE).await.unwrap();
        return subject.assert_holds(&fixture, Slot::Blue, &one).await;
    }
    for percent in [10, 10, 50, 25] {
        subject.shift(&fixture, &two, share(percent)).await.unwrap();
        let observed = subject.observe(&fixture).await;
        let told = format!("{:?}", observed.blue);
        assert!(observed.blue.holds(one.release.digest), "{told}");
        assert!(
            observed.blue.gives(two.release.digest, share(percent)),
            "{percent}: {told}"
        );
        assert_eq!(observed.green.canary(), None);
    }
    for _ in 0..2 {
        subject.shift(&fixture, &two, Percent::NONE).await.unwrap();
        subject.assert_holds(&fixture, Slot::Blue, &one).await;
        subject.assert_holds(&fixture, Slot::Green, &two).await;
    }
}

async fn a_promotion_ends_a_share(subject: Arc<dyn Subject>, fixture: Fixture) {
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    subject.go_live(&fixture, &one).await;
    for to in [&two, &one] {
        subject.stage(&two).await;
        let share = Percent::new(30).unwrap();
        subject.shift(&fixture, &two, share).await.unwrap();
        subject.promote(&fixture, to).await;
        subject.assert_holds(&fixture, Slot::Blue, to).await;
        assert_eq!(subject.observe(&fixture).await.blue.canary(), None);
        subject.promote(&fixture, &one).await;
    }
}

async fn a_share_of_what_is_not_staged_is_refused(subject: Arc<dyn Subject>, fixture: Fixture) {
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    subject.go_live(&fixture, &one).await;
    let share = Percent::new(30).unwrap();
    let refused = subject.shift(&fixture, &two, share).await;
    let not_staged = CloudError::NotStaged {
        cloud: subject.cloud().name(),
        release: two.release.digest,
    };
    assert_eq!(refused, Err(not_staged));
    subject.assert_holds(&fixture, Slot::Blue, &one).await;
}

async fn an_old_release_is_staged_again(subject: Arc<dyn Subject>, fixture: Fixture) {
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    for made in [&one, &two, &one, &two] {
        subject.go_live(&fixture, made).await;
    }
    subject.assert_holds(&fixture, Slot::Green, &one).await;
}

async fn an_unknown_release_is_not_promoted(subject: Arc<dyn Subject>, fixture: Fixture) {
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    subject.go_live(&fixture, &one).await;
    let scope = fixture.scope();
    let refused = subject.cloud().promote(&scope, two.release.digest).await;
    let not_staged = CloudError::NotStaged {
        cloud: subject.cloud().name(),
        release: two.release.digest,
    };
    assert_eq!(refused, Err(not_staged));
    subject.assert_holds(&fixture, Slot::Blue, &one).await;
}

async fn a_hand_edit_of_blue_is_seen_and_repaired(subject: Arc<dyn Subject>, fixture: Fixture) {
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    subject.go_live(&fixture, &one).await;
    subject.stage(&two).await;
    let edit = Edit::GreenOnBlue(vec![stock(), reorder()]);
    subject.edit(&fixture.service, edit).await;
    let blue = subject.observe(&fixture).await.blue.release();
    assert_eq!(blue, Some(two.release.digest), "the edit is seen");
    let repair = subject.cloud().repair(&one.release, &one.package);
    repair.await.unwrap();
    subject.assert_holds(&fixture, Slot::Blue, &one).await;
}

async fn a_lost_function_is_seen_and_repaired(subject: Arc<dyn Subject>, fixture: Fixture) {
    let one = fixture.release("one");
    subject.go_live(&fixture, &one).await;
    let edit = Edit::LoseOnBlue(reorder());
    subject.edit(&fixture.service, edit).await;
    let blue = subject.observe(&fixture).await.blue;
    assert!(matches!(blue, SlotContent::Torn(_)), "{blue:?}");
    let repair = subject.cloud().repair(&one.release, &one.package);
    repair.await.unwrap();
    subject.assert_holds(&fixture, Slot::Blue, &one).await;
}

async fn a_dropped_function_leaves_blue_and_comes_back(
    subject: Arc<dyn Subject>,
    fixture: Fixture,
) {
    let one = fixture.release("one");
    let two = fixture.release_of("two", &[stock()]);
    subject.go_live(&fixture, &one).await;
    subject.stage(&two).await;
    subject.assert_holds(&fixture, Slot::Green, &two).await;
    subject.promote(&fixture, &two).await;
    subject.assert_holds(&fixture, Slot::Blue, &two).await;
    subject.assert_holds(&fixture, Slot::Green, &one).await;
    subject.promote(&fixture, &one).await;
    subject.assert_holds(&fixture, Slot::Blue, &one).await;
    subject.assert_holds(&fixture, Slot::Green, &two).await;
}

async fn an_added_function_joins_and_leaves_again(subject: Arc<dyn Subject>, fixture: Fixture) {
    let one = fixture.release_of("one", &[stock()]);
    let two = fixture.release("two");
    subject.go_live(&fixture, &one).await;
    subject.go_live(&fixture, &two).await;
    subject.assert_holds(&fixture, Slot::Green, &one).await;
    subject.promote(&fixture, &one).await;
    subject.assert_holds(&fixture, Slot::Blue, &one).await;
    subject.assert_holds(&fixture, Slot::Green, &two).await;
}

async fn foreign_resources_are_told_and_left_alone(subject: Arc<dyn Subject>, fixture: Fixture) {
    let one = fixture.release("one");
    subject.edit(&fixture.service, Edit::Foreign(stock())).await;
    let observed = subject.observe(&fixture).await;
    assert_eq!(observed.foreign.len(), 1);
    assert_eq!(observed.blue, SlotContent::Empty);
    let refused = subject.cloud().stage(&one.release, &one.package).await;
    assert!(
        matches!(refused, Err(CloudError::NotOurs { .. })),
        "{refused:?}"
    );
    subject.cloud().prune(&fixture.scope()).await.unwrap();
    assert!(subject.foreign_is_there(&fixture.service, &stock()).await);
}

async fn pruning_takes_all_of_ours_and_nothing_else(subject: Arc<dyn Subject>, fixture: Fixture) {
    let one = fixture.release_of("one", &[stock()]);
    subject.go_live(&fixture, &one).await;
    subject
        .edit(&fixture.service, Edit::Foreign(reorder()))
        .await;
    for _ in 0..2 {
        subject.cloud().prune(&fixture.scope()).await.unwrap();
        let observed = subject.observe(&fixture).await;
        assert_eq!(observed.blue, SlotContent::Empty);
        assert_eq!(observed.green, SlotContent::Empty);
        assert!(observed.resources.is_empty());
    }
    assert!(subject.foreign_is_there(&fixture.service, &reorder()).await);
}

async fn the_inventory_lists_what_is_ours(subject: Arc<dyn Subject>, fixture: Fixture) {
    let listed = async || {
        let owned = subject.cloud().inventory().await.unwrap();
        owned.iter().any(|it| it.service == fixture.service)
    };
    assert!(!listed().await);
    subject.stage(&fixture.release("one")).await;
    assert!(listed().await);
    subject.cloud().prune(&fixture.scope()).await.unwrap();
    assert!(!listed().await);
}
