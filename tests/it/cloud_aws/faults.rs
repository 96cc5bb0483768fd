//! What the AWS cloud does when Lambda does not do as it is told.

use std::{collections::BTreeSet, time::Duration};

use axum::http::Method;
use verdigris::{
    cloud::{Cloud as _, CloudError, aws::AwsCloud},
    name::{CloudName, ReleaseDigest},
    observed::Observed,
};

use crate::{
    cloud_aws::aws,
    cloud_contract::{
        peers::{self, Peer},
        proxy::{Proxy, Rule, Wrong},
        release::{Fixture, Made},
    },
};

const FOREVER: usize = usize::MAX;

/// The AWS cloud, a proxy that can be told to break things, and moto.
struct Stage {
    cloud: AwsCloud,
    proxy: Proxy,
    peer: Peer,
}

impl Stage {
    async fn new() -> Self {
        let peer = peers::moto().await;
        let proxy = Proxy::new(&peer.endpoint).await;
        let cloud = AwsCloud::new(aws(&proxy.endpoint, Duration::ZERO)).await;
        Self { cloud, proxy, peer }
    }

    async fn observe(&self, fixture: &Fixture) -> Observed {
        self.cloud.observe(&fixture.scope()).await.unwrap()
    }

    async fn stage(&self, made: &Made) -> Result<(), CloudError> {
        self.cloud.stage(&made.release, &made.package).await
    }

    async fn promote(&self, fixture: &Fixture, made: &Made) -> Result<(), CloudError> {
        let scope = fixture.scope();
        self.cloud.promote(&scope, made.release.digest).await
    }

    /// The whole story of two releases, each step again until it works, as the reconciler would.
    async fn tell(&self, fixture: &Fixture, one: &Made, two: &Made) {
        for made in [one, two] {
            for attempt in 0.. {
                let staged = self.stage(made).await;
                if settled(&staged, attempt) {
                    break;
                }
            }
            for attempt in 0.. {
                let promoted = self.promote(fixture, made).await;
                if settled(&promoted, attempt) {
                    break;
                }
            }
        }
    }
}

/// Errors that a repetition may mend are the only ones allowed here, and a few repetitions must do.
fn settled(outcome: &Result<(), CloudError>, attempt: usize) -> bool {
    let Err(error) = outcome else {
        return true;
    };
    let mends = matches!(
        error,
        CloudError::Busy { .. } | CloudError::Unreachable { .. }
    );
    assert!(mends && attempt < 4, "attempt {attempt}: {error}");
    false
}

fn refused(status: u16, code: &'static str, retry_after: Option<u64>) -> Wrong {
    Wrong::Refused {
        status,
        code,
        retry_after,
    }
}

/// Every writing call of the story goes wrong once, each in a run of its own.
async fn each_write_goes_wrong(wrong: Wrong, times: usize) {
    let stage = Stage::new().await;
    let mut runs = 0;
    for spared in 0.. {
        let fixture = Fixture::new(spared);
        let (one, two) = (fixture.release("one"), fixture.release("two"));
        stage.proxy.set(Some(Rule {
            writes: true,
            path: "/functions",
            spared,
            times,
            wrong,
        }));
        stage.tell(&fixture, &one, &two).await;
        let spent = stage.proxy.is_spent();
        stage.proxy.set(None);
        let seen = stage.observe(&fixture).await;
        assert_eq!(seen.blue.release(), Some(two.release.digest), "{spared}");
        assert_eq!(seen.green.release(), Some(one.release.digest), "{spared}");
        let expected = stage.cloud.expected(&two.release, two.package.code);
        assert_eq!(seen.blue.holding().unwrap().fields, expected, "{spared}");
        runs += 1;
        if !spent {
            break;
        }
    }
    assert!(runs > 20, "only {runs} writing calls were tried");
    drop(stage.peer);
}

#[tokio::test]
async fn a_lost_reply_at_any_writing_call_is_made_good_by_repeating() {
    each_write_goes_wrong(Wrong::ReplyLost, 1).await;
}

/// Three times, since the vendor's client tries that often.
#[tokio::test]
async fn a_failed_writing_call_is_made_good_by_repeating() {
    each_write_goes_wrong(refused(500, "ServiceException", None), 3).await;
}

#[tokio::test]
async fn a_promotion_that_fails_in_the_middle_is_undone() {
    let stage = Stage::new().await;
    let fixture = Fixture::new(0);
    let (one, two) = (fixture.release("one"), fixture.release("two"));
    for path in [
        "prod-shop0-reorder/aliases/blue",
        "prod-shop0-stock/aliases/blue",
    ] {
        stage.stage(&one).await.unwrap();
        stage.promote(&fixture, &one).await.unwrap();
        stage.stage(&two).await.unwrap();
        stage.proxy.set(Some(Rule {
            writes: true,
            path,
            spared: 0,
            times: FOREVER,
            wrong: refused(403, "AccessDeniedException", None),
        }));
        let promoted = stage.promote(&fixture, &two).await;
        assert!(
            matches!(promoted, Err(CloudError::Denied { .. })),
            "{promoted:?}"
        );
        stage.proxy.set(None);
        let releases: BTreeSet<Option<ReleaseDigest>> = [
            stage.observe(&fixture).await.blue.release(),
            Some(one.release.digest),
        ]
        .into();
        assert_eq!(releases.len(), 1, "blue is one release, and the old one");
        let green = stage.observe(&fixture).await.green.release();
        assert_eq!(green, Some(two.release.digest), "still there to try again");
    }
}

#[tokio::test]
async fn a_first_promotion_that_fails_in_the_middle_leaves_blue_empty() {
    let stage = Stage::new().await;
    let fixture = Fixture::new(0);
    let one = fixture.release("one");
    stage.stage(&one).await.unwrap();
    stage.proxy.set(Some(Rule {
        writes: true,
        path: "prod-shop0-stock/aliases",
        spared: 0,
        times: 1,
        wrong: refused(403, "AccessDeniedException", None),
    }));
    assert!(stage.promote(&fixture, &one).await.is_err());
    let seen = stage.observe(&fixture).await;
    assert_eq!(seen.blue, verdigris::observed::SlotContent::Empty);
    stage.promote(&fixture, &one).await.unwrap();
}

#[tokio::test]
async fn answers_are_sorted_by_what_happens_next() {
    let stage = Stage::new().await;
    let fixture = Fixture::new(0);
    let cases = [
        (429, "TooManyRequestsException", "Throttled"),
        (403, "AccessDeniedException", "AccessDenied"),
        (409, "ResourceConflictException", "Busy"),
        (404, "PageNotFound", "Unreachable"),
        (412, "PreconditionFailedException", "Busy"),
        (400, "InvalidParameterValueException", "UnsupportedSpec"),
        (400, "CodeStorageExceededException", "AccessDenied"),
        (503, "ServiceException", "Unreachable"),
    ];
    for (status, code, reason) in cases {
        stage.proxy.set(Some(Rule {
            writes: false,
            path: "",
            spared: 0,
            times: FOREVER,
            wrong: refused(status, code, Some(7)),
        }));
        let error = stage.cloud.observe(&fixture.scope()).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{status} {code}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn a_throttled_call_is_not_repeated_and_says_how_long_to_wait() {
    let stage = Stage::new().await;
    stage.proxy.set(Some(Rule {
        writes: false,
        path: "",
        spared: 0,
        times: FOREVER,
        wrong: refused(429, "TooManyRequestsException", Some(7)),
    }));
    let throttled = CloudError::Throttled {
        cloud: CloudName::Aws,
        retry_after: Duration::from_secs(7),
    };
    assert_eq!(stage.cloud.inventory().await, Err(throttled));
    assert_eq!(stage.proxy.take_requests().len(), 1);
}

#[tokio::test]
async fn looking_sends_nothing_but_get() {
    let stage = Stage::new().await;
    let fixture = Fixture::new(0);
    let one = fixture.release("one");
    stage.stage(&one).await.unwrap();
    stage.promote(&fixture, &one).await.unwrap();
    stage.proxy.take_requests();
    stage.observe(&fixture).await;
    stage.cloud.inventory().await.unwrap();
    stage.stage(&one).await.unwrap();
    stage.promote(&fixture, &one).await.unwrap();
    let requests = stage.proxy.take_requests();
    assert!(!requests.is_empty());
    let writes = requests.iter().filter(|it| it.method != Method::GET);
    assert_eq!(writes.count(), 0, "{requests:?}");
}
