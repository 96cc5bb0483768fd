//! Who changed a function, by the account's own log; and who is never named: we.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use verdigris::{
    clock::{Clock as _, SystemClock},
    cloud::{Cloud as _, CloudError, aws::AwsCloud},
    local::faults::{Rule, RuleError},
};

use crate::{
    cloud_aws::{aws, duties::Local},
    cloud_contract::release::{Fixture, stock},
};

/// Somebody with a key of their own.
fn eve(local: &Local) -> Client {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(local.endpoint.url.as_str().trim_end_matches('/'))
        .credentials_provider(Credentials::new("AKIAEVE", "secret", None, None, "test"));
    Client::from_conf(config.build())
}

async fn live(local: &Local, fixture: &Fixture) -> AwsCloud {
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::ZERO)).await;
    let made = fixture.release("one");
    cloud.stage(&made.release, &made.package).await.unwrap();
    let release = made.release.digest;
    cloud.promote(&fixture.scope(), release).await.unwrap();
    cloud
}

#[tokio::test]
async fn whoever_moved_an_alias_is_named_and_we_are_not() {
    let local = Local::at_once().await;
    let fixture = Fixture::new(0);
    let since = SystemClock.now().before(Duration::from_secs(60));
    let cloud = live(&local, &fixture).await;
    let scope = fixture.scope();
    let deeds = cloud.operate().unwrap().deeds(&scope, since);
    assert_eq!(deeds.await.unwrap(), Vec::new(), "all of it was ours");
    let name = format!(
        "{}-{}-{}",
        fixture.service.environment,
        fixture.service.service,
        stock()
    );
    let moved = eve(&local).update_alias().function_name(&name).name("blue");
    moved.description("mine").send().await.unwrap();
    let refused = eve(&local).update_alias().function_name(&name).name("blue");
    refused.function_version("99").send().await.unwrap_err();
    let scope = fixture.scope();
    let deeds = cloud.operate().unwrap().deeds(&scope, since);
    let told: Vec<_> = deeds.await.unwrap();
    let [deed] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(deed.operation, "UpdateAlias20150331");
    assert_eq!(deed.who, "arn:aws:iam::123456789012:user/AKIAEVE");
    assert_eq!(deed.resource, name);
}

#[tokio::test]
async fn an_account_that_does_not_let_us_look_is_told_as_that() {
    let local = Local::at_once().await;
    let fixture = Fixture::new(0);
    let cloud = live(&local, &fixture).await;
    let refusal = RuleError {
        status: 400,
        code: "AccessDeniedException".to_owned(),
        message: Some("not authorized to perform: cloudtrail:LookupEvents".to_owned()),
    };
    local.endpoint.faults().set(vec![Rule {
        error: Some(refusal),
        ..Rule::of("LookupEvents")
    }]);
    let scope = fixture.scope();
    let deeds = cloud.operate().unwrap().deeds(&scope, SystemClock.now());
    let error = deeds.await.unwrap_err();
    assert!(matches!(error, CloudError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_function_without_our_tags_is_foreign_until_it_is_adopted_by_its_arn() {
    let local = Local::at_once().await;
    let fixture = Fixture::new(0);
    let cloud = live(&local, &fixture).await;
    let scope = fixture.scope();
    let name = format!(
        "{}-{}-{}",
        fixture.service.environment,
        fixture.service.service,
        stock()
    );
    let arn = format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}");
    let untag = |keys: &[&str]| {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        eve(&local)
            .untag_resource()
            .resource(&arn)
            .set_tag_keys(Some(keys))
            .send()
    };
    untag(&["verdigris:owner"]).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert_eq!(observed.foreign, std::slice::from_ref(&arn));
    let operate = cloud.operate().unwrap();
    let named = BTreeSet::from([arn.clone()]);
    let refused = operate.adopt(&scope, &named).await.unwrap_err();
    assert!(
        refused.to_string().contains("belongs to the service"),
        "{refused}"
    );
    untag(&["verdigris:service", "verdigris:environment"])
        .await
        .unwrap();
    operate.adopt(&scope, &BTreeSet::new()).await.unwrap();
    assert_eq!(
        cloud.observe(&scope).await.unwrap().foreign.len(),
        1,
        "it was not named"
    );
    operate.adopt(&scope, &named).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert!(observed.foreign.is_empty(), "{observed:?}");
}
