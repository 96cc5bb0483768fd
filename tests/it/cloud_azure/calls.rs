//! How many calls of Azure's interface each step of a release takes, by counting them, on each kind of plan.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use verdigris::{
    cloud::{
        Cloud as _, CloudError, Package,
        azure::{AzureCloud, AzureLimiter, AzureOptions},
    },
    desired::Release,
    local::arm::ArmOptions,
    manifest::spec::AzurePlan,
    observed::Scope,
};

use super::{local::Local, options, release, scope};

/// A plan of each kind, as people call it. Dedicated is as Premium: the test says so.
const PLANS: [(&str, &str); 3] = [
    ("EP1", "Premium, Dedicated"),
    ("FC1", "Flex Consumption"),
    ("Y1", "Consumption"),
];

/// What we call that changes something ends so.
const WRITING: [&str; 10] = [
    "put",
    "delete",
    "start",
    "patch",
    "slotsswap",
    "syncfunctiontriggers",
    "zipdeploy",
    "publish",
    "applyslotconfig",
    "resetslotconfig",
];

struct Counting {
    cloud: AzureCloud,
    scope: Scope,
    /// What each step took.
    steps: Vec<(&'static str, String)>,
}

impl Counting {
    /// Calls since then: those that write, or that read.
    fn since(&self, before: &BTreeMap<&'static str, u64>, writing: bool) -> Vec<(String, u64)> {
        let writes = |name: &str| WRITING.iter().any(|it| name.ends_with(it));
        let all = self.cloud.calls().into_iter();
        let some = all.filter(|(name, _)| writes(name) == writing);
        let new = some.map(|(name, count)| {
            let new = count - before.get(name).copied().unwrap_or_default();
            (name.to_owned(), new)
        });
        new.filter(|(_, new)| *new > 0).collect()
    }

    /// What is read while something slow is followed depends on how slow it is: writing calls alone are told.
    async fn step(
        &mut self,
        what: &'static str,
        work: impl AsyncFnOnce(&AzureCloud, &Scope) -> Result<(), CloudError>,
    ) {
        let (before, written) = (self.cloud.calls(), self.cloud.writing_calls());
        work(&self.cloud, &self.scope).await.unwrap();
        let writes = self.since(&before, true);
        let sum: u64 = writes.iter().map(|(_, count)| count).sum();
        assert_eq!(sum, self.cloud.writing_calls() - written, "{writes:?}");
        let told = writes.into_iter().map(|(name, count)| match count {
            1 => name,
            count => format!("{name} x{count}"),
        });
        let told = told.collect::<Vec<_>>().join(", ");
        let told = match told.as_str() {
            "" => "none".to_owned(),
            _ => told,
        };
        self.steps.push((what, told));
    }

    async fn look(&mut self, what: &'static str) {
        let (before, written) = (self.cloud.calls(), self.cloud.writing_calls());
        self.cloud.observe(&self.scope).await.unwrap();
        assert_eq!(self.cloud.writing_calls(), written);
        let reads = self.since(&before, false);
        let sum: u64 = reads.iter().map(|(_, count)| count).sum();
        self.steps.push((what, format!("{sum} that read")));
    }

    async fn stage(&mut self, what: &'static str, release: &Release, package: &Package) {
        self.step(what, async |cloud, _| cloud.stage(release, package).await)
            .await;
    }

    async fn promote(&mut self, what: &'static str, release: &Release) {
        let digest = release.digest;
        self.step(what, async |cloud, scope| {
            cloud.promote(scope, digest).await
        })
        .await;
    }
}

/// Of an app with an HTTP function and one that reads a queue.
async fn steps_on(plan: &str) -> Vec<(&'static str, String)> {
    let local = Local::start_with(ArmOptions {
        swap_time: Duration::ZERO,
        ..ArmOptions::default()
    })
    .await;
    let mut options = AzureOptions {
        limiter: Arc::new(AzureLimiter::default()),
        ..options(&local.arm.url)
    };
    options.target.plan = AzurePlan(plan.to_owned());
    let one = release(1, &[]);
    let (code, settings) = (release(2, &[]), release(2, &[("LOG_LEVEL", "debug")]));
    let (first, second) = (local.package("one"), local.package("two"));
    let mut counting = Counting {
        cloud: AzureCloud::new(options).unwrap(),
        scope: scope(&one),
        steps: Vec::new(),
    };
    counting.look("look at nothing").await;
    counting.stage("first deploy", &one, &first).await;
    counting.promote("first promotion", &one).await;
    counting.look("look after it").await;
    counting.look("nothing to do").await;
    counting.stage("code only", &code, &second).await;
    counting.promote("promotion", &code).await;
    counting.look("look after a promotion").await;
    counting.stage("settings only", &settings, &second).await;
    counting.promote("promotion of settings", &settings).await;
    counting.promote("rollback", &code).await;
    counting.promote("the same again", &code).await;
    counting.steps
}

/// One row for each step, one column for each kind of plan.
fn table(plans: &[Vec<(&'static str, String)>]) -> String {
    let kinds = PLANS.map(|(_, kind)| kind).join(" | ");
    let mut drawn = format!(
        "| Step of one app | {kinds} |\n|---|{}\n",
        "---|".repeat(PLANS.len())
    );
    for (at, (step, _)) in plans[0].iter().enumerate() {
        let cells = plans.iter().map(|steps| steps[at].1.as_str());
        let cells = cells.collect::<Vec<_>>().join(" | ");
        drawn += &format!("| {step} | {cells} |\n");
    }
    drawn
}

#[tokio::test]
async fn steps_on_azure_take_these_calls() {
    let mut plans = Vec::new();
    for (plan, _) in PLANS {
        plans.push(steps_on(plan).await);
    }
    assert_eq!(steps_on("S1").await, plans[0]);
    let table = table(&plans);
    let told = std::fs::read_to_string("README.md").unwrap();
    assert!(told.contains(&table), "README.md should say\n{table}");
}
