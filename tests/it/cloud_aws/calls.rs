//! How many calls of AWS's interface each step of a release takes, by counting them.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    future::{Either, join_all, select},
    stream,
};
use insta::assert_snapshot;
use verdigris::{
    cloud::{
        Cloud as _, CloudError,
        aws::{AccountLimits, AwsCloud, AwsOptions, Quotas},
    },
    observed::Scope,
};

use crate::{
    cloud_aws::{aws, duties::Local},
    cloud_contract::{
        peers,
        release::{Fixture, Made, reorder, stock},
    },
};

/// What was called since `before`: writing calls first, then reading ones.
fn since(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> String {
    let reads = |name: &str| {
        let starts = ["Get", "List", "Describe"];
        starts.iter().any(|it| name.starts_with(it))
    };
    let told = |reading: bool| {
        let some = after.iter().filter(|(name, _)| reads(name) == reading);
        let told = some.filter_map(|(name, count)| {
            let new = count - before.get(name).copied().unwrap_or_default();
            match new {
                0 => None,
                1 => Some(name.clone()),
                new => Some(format!("{name} x{new}")),
            }
        });
        told.collect::<Vec<_>>().join(" ")
    };
    let writes = Some(told(false)).filter(|it| !it.is_empty());
    let writes = writes.unwrap_or_else(|| "nothing".to_owned());
    format!("{writes}; reads {}", told(true))
}

struct Counting {
    cloud: AwsCloud,
    scope: Scope,
    lines: Vec<String>,
}

impl Counting {
    async fn step(
        &mut self,
        what: &str,
        work: impl AsyncFnOnce(&AwsCloud, &Scope) -> Result<(), CloudError>,
    ) {
        // Nothing is under way any more, so that every wait is over at the first look.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let before = self.cloud.calls();
        work(&self.cloud, &self.scope).await.unwrap();
        let told = since(&before, &self.cloud.calls());
        self.lines.push(format!("{what}: {told}"));
    }

    async fn stage(&mut self, what: &str, made: &Made) {
        self.step(what, async |cloud, _| {
            cloud.stage(&made.release, &made.package).await
        })
        .await;
    }

    async fn promote(&mut self, what: &str, made: &Made) {
        let release = made.release.digest;
        self.step(what, async |cloud, scope| {
            cloud.promote(scope, release).await
        })
        .await;
    }

    async fn look(&mut self, what: &str) {
        self.step(what, async |cloud, scope| {
            cloud.observe(scope).await.map(drop)
        })
        .await;
    }
}

/// One function that reads a queue: no address, one mapping.
#[tokio::test]
async fn steps_take_these_calls() {
    let local = Local::at_once().await;
    let options = aws(&local.endpoint.url, Duration::from_secs(300));
    let fixture = Fixture::new(0);
    let mut scope = fixture.scope();
    scope.functions = [reorder()].into();
    let mut counting = Counting {
        cloud: AwsCloud::new(options).await,
        scope,
        lines: Vec::new(),
    };
    let only = |body: &str, memory: u32| {
        fixture.release_with(body, &[reorder()], |_, function| {
            function.memory = verdigris::manifest::spec::Megabytes(memory);
        })
    };
    let (one, code, settings) = (only("one", 256), only("two", 256), only("two", 512));
    // The daemon looks before each order, and after it.
    counting.look("look at nothing").await;
    counting.stage("first deploy", &one).await;
    counting.look("first look").await;
    counting.promote("first promotion", &one).await;
    counting.look("look after it").await;
    counting.look("nothing to do").await;
    counting.stage("code only", &code).await;
    counting.look("look after a stage").await;
    counting.promote("promotion", &code).await;
    counting.look("look after a promotion").await;
    counting.stage("settings only", &settings).await;
    counting.promote("promotion of settings", &settings).await;
    counting.promote("rollback", &code).await;
    counting.promote("the same again", &code).await;
    assert_snapshot!(counting.lines.join("\n"), @r"
    look at nothing: nothing; reads GetFunction
    first deploy: CreateAlias CreateFunction; reads GetFunction
    first look: nothing; reads GetFunction x2
    first promotion: CreateAlias CreateEventSourceMapping; reads GetFunction x2
    look after it: nothing; reads GetFunction x3 ListAliases ListEventSourceMappings
    nothing to do: nothing; reads GetFunction
    code only: UpdateAlias UpdateFunctionCode UpdateFunctionConfiguration; reads GetFunction x3
    look after a stage: nothing; reads GetFunction x2
    promotion: UpdateAlias x2; reads GetFunction x2
    look after a promotion: nothing; reads GetFunction x2
    settings only: PublishVersion UpdateAlias UpdateFunctionConfiguration; reads GetFunction x3
    promotion of settings: UpdateAlias x2; reads GetFunction x2
    rollback: UpdateAlias x2; reads GetFunction x2
    the same again: nothing; reads GetFunction x2
    ");
    let told = std::fs::read_to_string("README.md").unwrap();
    let table = table(&counting.lines);
    assert!(told.contains(&table), "README.md should say\n{table}");
}

/// The same for people: what is written by name, what is read by number.
fn table(lines: &[String]) -> String {
    let mut drawn =
        "| Step of one function | Writing calls | Reading calls |\n|---|---|---|\n".to_owned();
    for line in lines {
        let (step, calls) = line.split_once(": ").unwrap();
        let (writes, reads) = calls.split_once("; reads ").unwrap();
        let mut reading = 0;
        for word in reads.split(' ') {
            reading += word
                .strip_prefix('x')
                .map_or(1, |times| times.parse::<u64>().unwrap() - 1);
        }
        let writes = match writes {
            "nothing" => "none".to_owned(),
            some => some.replace(' ', ", ").replace(", x", " x"),
        };
        drawn += &format!("| {step} | {writes} | {reading} |\n");
    }
    drawn
}

/// A service of one function each, which reads a queue.
struct Fleet {
    fixtures: Vec<Fixture>,
    lines: Vec<String>,
}

impl Fleet {
    fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.fixtures.iter().map(|fixture| Scope {
            functions: [reorder()].into(),
            ..fixture.scope()
        })
    }

    async fn deploy(&self, cloud: &AwsCloud) {
        let all = self.fixtures.iter().map(async |fixture| {
            let made = fixture.release_of("one", &[reorder()]);
            cloud.stage(&made.release, &made.package).await.unwrap();
            let scope = Scope {
                functions: [reorder()].into(),
                ..fixture.scope()
            };
            cloud.promote(&scope, made.release.digest).await.unwrap();
        });
        stream::iter(all).buffered(16).collect::<Vec<_>>().await;
    }

    /// Looks at every service, as the daemon does again and again.
    async fn sweep(&mut self, what: &str, cloud: &AwsCloud) {
        let before = cloud.calls();
        join_all(self.scopes().map(async |scope| {
            let seen = cloud.observe(&scope).await.unwrap();
            assert!(seen.blue.holding().is_some());
        }))
        .await;
        let told = since(&before, &cloud.calls());
        self.lines.push(format!("{what}: {told}"));
    }
}

/// No list tells where aliases point, so the least is one call a function; what else is listed for many is not asked for one by one.
#[tokio::test]
async fn a_sweep_takes_one_call_a_function() {
    let local = Local::at_once().await;
    let options = || aws(&local.endpoint.url, Duration::from_secs(300));
    let mut fleet = Fleet {
        fixtures: (0..100).map(Fixture::new).collect(),
        lines: Vec::new(),
    };
    let cloud = AwsCloud::new(options()).await;
    fleet.deploy(&cloud).await;
    fleet.sweep("first sweep after deploying", &cloud).await;
    fleet.sweep("a sweep", &cloud).await;
    let other = AwsCloud::new(options()).await;
    fleet.sweep("first sweep of a new daemon", &other).await;
    fleet.sweep("its next", &other).await;
    let before = other.calls();
    assert_eq!(other.inventory().await.unwrap().len(), 100);
    let told = since(&before, &other.calls());
    fleet.lines.push(format!("what is ours: {told}"));
    assert_snapshot!(fleet.lines.join("\n"), @r"
    first sweep after deploying: nothing; reads GetFunction x300 ListAliases x100 ListEventSourceMappings x100
    a sweep: nothing; reads GetFunction x100
    first sweep of a new daemon: nothing; reads GetFunction x300 ListAliases x100 ListEventSourceMappings x3
    its next: nothing; reads GetFunction x100
    what is ours: nothing; reads ListFunctions x2
    ");
}

/// Turns go to who comes first: a thousand who look around must not come before one who has something to do.
#[tokio::test]
async fn who_has_something_to_do_does_not_wait_behind_a_sweep() {
    let local = Local::at_once().await;
    let fleet = Fleet {
        fixtures: (0..100).map(Fixture::new).collect(),
        lines: Vec::new(),
    };
    fleet
        .deploy(&AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await)
        .await;
    let quotas = Quotas {
        get_function: NonZeroU32::new(60).unwrap(),
        other: NonZeroU32::new(10_000).unwrap(),
    };
    let options = AwsOptions {
        limits: Arc::new(AccountLimits::new(quotas)),
        ..aws(&local.endpoint.url, Duration::from_secs(300))
    };
    let cloud = AwsCloud::new(options).await;
    let sweep = join_all(
        fleet
            .scopes()
            .map(async |scope| cloud.observe(&scope).await),
    );
    let work = async {
        let made = fleet.fixtures[0].release_of("two", &[reorder()]);
        cloud.stage(&made.release, &made.package).await.unwrap();
    };
    let first = select(Box::pin(sweep), Box::pin(work)).await;
    assert!(matches!(first, Either::Right(_)), "the sweep came first");
}

/// 51 MiB, by way of S3 on a server that is not ours.
#[tokio::test]
async fn a_package_too_large_for_a_request_goes_through_a_bucket() {
    let peer = peers::moto().await;
    let fixture = Fixture::new(0);
    let noise = "x".repeat(51 << 20);
    let large = fixture.release_of_code(&noise, &[stock()], "def handler(event, context): pass");
    let without = AwsCloud::new(aws(&peer.endpoint, Duration::ZERO)).await;
    let refused = without.stage(&large.release, &large.package).await;
    let Err(CloudError::Invalid { message, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(message.contains("name a bucket"), "{message}");
    peers::create_bucket(&peer.endpoint, "packages").await;
    let options = AwsOptions {
        bucket: Some("packages".to_owned()),
        ..aws(&peer.endpoint, Duration::ZERO)
    };
    let cloud = AwsCloud::new(options).await;
    for _ in 0..2 {
        cloud.stage(&large.release, &large.package).await.unwrap();
    }
    let calls = cloud.calls();
    assert_eq!(
        (calls.get("HeadObject"), calls.get("PutObject")),
        (Some(&1), Some(&1))
    );
}
