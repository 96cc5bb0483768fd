//! Lambda functions with names of their own: made by somebody else, taken over, and from then on deployed to, promoted, rolled back, found
//! again and destroyed by these names.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{Environment, FunctionCode, Runtime},
};
use url::Url;
use verdigris::{
    cloud::{Cloud, CloudError, aws::AwsCloud},
    import::clouds::clouds,
    manifest::aws::AwsFunction,
    name::{Called, CloudName, FunctionName},
    observed::{Owned, Scope},
};

use crate::{
    cloud_aws::{aws, duties::Local},
    cloud_contract::{
        patient::Patient,
        peers,
        release::{Fixture, Made, ROLE, reorder, stock, zip},
    },
};

fn theirs() -> [(FunctionName, String); 2] {
    [
        (stock(), "Legacy_Stock".to_owned()),
        // Of another service of ours, to judge by its looks.
        (reorder(), "prod-other-reorder".to_owned()),
    ]
}

fn scope(fixture: &Fixture) -> Scope {
    let called = Called {
        aws: theirs().into(),
        azure: None,
    };
    Scope {
        called,
        ..fixture.scope()
    }
}

fn made(fixture: &Fixture, body: &str) -> Made {
    fixture.release_with(body, &[stock(), reorder()], |function, asked| {
        let called = theirs().into_iter().find(|(known, _)| known == function);
        let aws = asked.aws.take().map(|it| *it).unwrap_or_default();
        asked.aws = Some(Box::new(AwsFunction {
            name: called.map(|(_, name)| name),
            ..aws
        }));
    })
}

fn hand(endpoint: &Url) -> Client {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(endpoint.as_str().trim_end_matches('/'))
        .credentials_provider(Credentials::new(peers::ACCOUNT, "test", None, None, "test"));
    Client::from_conf(config.build())
}

fn theirs_alone() -> Environment {
    Environment::builder().variables("MODE", "live").build()
}

async fn make_by_hand(hand: &Client, name: &str, environment: Environment) {
    let code = FunctionCode::builder().zip_file(Blob::new(zip("theirs", &[], "")));
    let made = hand
        .create_function()
        .function_name(name)
        .runtime(Runtime::Python311)
        .handler("theirs.handler")
        .role(ROLE)
        .environment(environment)
        .tags("team", "shop")
        .code(code.build());
    made.send().await.unwrap();
    for _ in 0..600 {
        let now = hand.get_function_configuration().function_name(name);
        let now = now.send().await.unwrap();
        if now.state().is_none_or(|state| state.as_str() == "Active") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("`{name}` does not become active");
}

async fn names(hand: &Client) -> Vec<String> {
    let listed = hand.list_functions().send().await.unwrap();
    let names = listed.functions().iter();
    let mut names: Vec<String> = names
        .filter_map(|it| it.function_name().map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// With nothing remembered.
async fn anew(endpoint: &Url) -> Patient<AwsCloud> {
    Patient(AwsCloud::new(aws(endpoint, Duration::ZERO)).await)
}

async fn story(endpoint: &Url) {
    let hand = hand(endpoint);
    for (_, name) in theirs() {
        make_by_hand(&hand, &name, theirs_alone()).await;
    }
    let both = ["Legacy_Stock", "prod-other-reorder"];
    let cloud = anew(endpoint).await;
    let operate = cloud.operate().unwrap();
    let found = operate.found().await.unwrap();
    let imported = clouds(CloudName::Aws, "eu-west-1", &found);
    for name in both {
        let told = format!("name: {name}");
        assert!(imported.manifests.contains(&told), "{}", imported.manifests);
    }

    let fixture = Fixture::new(0);
    let (scope, one) = (scope(&fixture), made(&fixture, "one"));
    let foreign = cloud.observe(&scope).await.unwrap().foreign;
    assert_eq!(foreign.len(), 2, "{foreign:?}");
    let refused = cloud.stage(&one.release, &one.package).await.unwrap_err();
    assert!(matches!(refused, CloudError::NotOurs { .. }), "{refused}");
    let foreign: BTreeSet<String> = foreign.into_iter().collect();
    operate.adopt(&scope, &foreign).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert_eq!(observed.foreign, Vec::<String>::new());
    assert_eq!(observed.resources.len(), 2);

    let two = made(&fixture, "two");
    for made in [&one, &two] {
        cloud.stage(&made.release, &made.package).await.unwrap();
        let release = made.release.digest;
        cloud.promote(&scope, release).await.unwrap();
        assert!(cloud.observe(&scope).await.unwrap().blue.holds(release));
    }
    cloud.promote(&scope, one.release.digest).await.unwrap();
    let observed = cloud.observe(&scope).await.unwrap();
    assert!(observed.blue.holds(one.release.digest), "{observed:?}");
    let holding = observed.blue.holding().unwrap();
    let expected = cloud.expected(&one.release, one.package.code);
    assert_eq!(verdigris::diff::fields(&expected, &holding.fields), []);
    assert_eq!(names(&hand).await, both, "nothing else was made");

    // The store was lost, and the manifest is gone.
    let cloud = anew(endpoint).await;
    let owned = cloud.inventory().await.unwrap();
    let [
        Owned {
            service,
            functions,
            called,
            resources: _,
        },
    ] = owned.as_slice()
    else {
        panic!("{owned:?}");
    };
    assert_eq!(
        (service, functions, called),
        (&fixture.service, &scope.functions, &scope.called)
    );
    cloud.prune(&fixture.scope()).await.unwrap();
    assert_eq!(names(&hand).await, Vec::<String>::new());
}

#[tokio::test]
async fn functions_keep_their_names_on_our_lambda() {
    let local = Local::start().await;
    story(&local.endpoint.url).await;
}

#[tokio::test]
async fn functions_keep_their_names_on_moto() {
    let peer = peers::moto().await;
    story(&peer.endpoint).await;
}

#[tokio::test]
async fn functions_keep_their_names_on_ministack() {
    let peer = peers::ministack().await;
    story(&peer.endpoint).await;
}

/// Whoever copies a function copies its variables, which say whose it is, and not its tags.
async fn copied_by_hand(endpoint: &Url) {
    let hand = hand(endpoint);
    let fixture = Fixture::new(0);
    let one = fixture.release("one");
    let cloud = anew(endpoint).await;
    cloud.stage(&one.release, &one.package).await.unwrap();
    let (scope, release) = (fixture.scope(), one.release.digest);
    cloud.promote(&scope, release).await.unwrap();
    let ours = Called::default().lambda(&fixture.service, &stock());
    let config = hand.get_function_configuration().function_name(&ours);
    let config = config.send().await.unwrap();
    let variables = config.environment().unwrap().variables().unwrap().clone();
    let copied = Environment::builder().set_variables(Some(variables));
    make_by_hand(&hand, "Copied_Stock", copied.build()).await;

    let cloud = anew(endpoint).await;
    let owned = cloud.inventory().await.unwrap();
    let [owned] = owned.as_slice() else {
        panic!("{owned:?}");
    };
    assert_eq!(owned.called, Called::default());
    assert_eq!(owned.resources.len(), 2, "{owned:?}");
    cloud.prune(&scope).await.unwrap();
    assert_eq!(names(&hand).await, ["Copied_Stock"]);
}

#[tokio::test]
async fn a_copy_made_by_hand_is_not_taken_for_ours_on_our_lambda() {
    let local = Local::start().await;
    copied_by_hand(&local.endpoint.url).await;
}

#[tokio::test]
async fn a_copy_made_by_hand_is_not_taken_for_ours_on_moto() {
    let peer = peers::moto().await;
    copied_by_hand(&peer.endpoint).await;
}
