//! An account that had functions before: the vendor's own client makes one with all that hangs on it, `import --aws` writes it as a manifest,
//! `adopt` takes it over, and from then on commits change it.
//!
//! On MiniStack. Moto has no `GetProvisionedConcurrencyConfig`, which `import` asks of every alias.

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use url::Url;

use super::daemon::{Running, Stage};
use crate::{
    cloud_contract::{
        peers::{ACCOUNT, ministack},
        release::ROLE,
    },
    peers::python,
};

const ENVIRONMENT: &str = "\
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: prod }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }
";

/// What the import calls it.
const SERVICE: &str = "legacy-orders-v2";
const NAME: &str = "LegacyOrders_v2";

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_was_made_by_hand_is_brought_in_taken_over_and_changed() {
    let peer = ministack().await;
    let mut by_hand = python("lambda_by_hand.py");
    by_hand.args([
        peer.endpoint.as_str().trim_end_matches('/'),
        "eu-west-1",
        ROLE,
    ]);
    let made = by_hand.output().await.unwrap();
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{told}");
    let endpoint = peer.endpoint.clone();
    let story = tokio::task::spawn_blocking(move || brought_in(&endpoint));
    story.await.unwrap();
    is_on_blue(&peer.endpoint).await;
}

fn brought_in(endpoint: &Url) {
    let mut stage = Stage::at(endpoint);
    stage.write("prod.yaml", ENVIRONMENT);
    let import = [
        "import",
        "--aws",
        "eu-west-1",
        "--endpoint",
        endpoint.as_str(),
        "--to",
        "repo/shop.yaml",
    ];
    let imported = stage.run(&import);
    assert_eq!(imported.code, 0, "{}", imported.shown());
    let app = "async def app(scope, receive, send):\n    pass\nhandler = app\n";
    stage.write(&format!("services/{SERVICE}/app.py"), app);
    let valid = stage.run(&["validate", "repo"]);
    assert_eq!(valid.code, 0, "{}", valid.shown());
    stage.commit("what was there");

    let repository = format!("file://{}", stage.path("repo").display());
    let mut run = stage.program();
    run.args(["run", "--repo", &repository, "--listen", "127.0.0.1:0"])
        .args(["--aws-endpoint", &stage.aws])
        .args(["--log-format", "json"]);
    let daemon = Running::start(&mut run, "follows");
    stage.server = daemon.word_after("dashboard");
    let plan = super::talk::until_code(&stage, &["adopt", SERVICE], 2);
    assert!(plan.out.contains(&format!(":function:{NAME}\n")));
    let adopted = stage.run(&["adopt", SERVICE, "--yes"]);
    assert_eq!(adopted.code, 0, "{}", adopted.shown());
    let live = ["wait", SERVICE, "--timeout", "180s"];
    let waited = stage.run(&live);
    assert_eq!(waited.code, 0, "{}", waited.shown());

    let manifest = std::fs::read_to_string(stage.path("repo/shop.yaml")).unwrap();
    let larger = manifest.replace("memory: 512Mi", "memory: 1024Mi");
    assert_ne!(larger, manifest);
    stage.write("shop.yaml", &larger);
    stage.commit("more memory");
    stage.run(&["reconcile", SERVICE]);
    // Only a second release that went live has one before it.
    super::talk::until(&stage, &["status", SERVICE], |ran| {
        ran.out.contains("\n  previous  ")
    });
    let waited = stage.run(&live);
    assert_eq!(waited.code, 0, "{}", waited.shown());
    assert_eq!(daemon.stop(), Some(0));
}

/// Blue has the change, the layer, the variables and the queue; nothing else was made, and the alias of before is where it was.
async fn is_on_blue(endpoint: &Url) {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(endpoint.as_str().trim_end_matches('/'))
        .credentials_provider(Credentials::new(ACCOUNT, "test", None, None, "test"));
    let hand = Client::from_conf(config.build());
    let listed = hand.list_functions().send().await.unwrap();
    let names: Vec<_> = listed
        .functions()
        .iter()
        .map(|it| it.function_name())
        .collect();
    assert_eq!(names, [Some(NAME)]);
    let blue = hand.get_function_configuration().function_name(NAME);
    let blue = blue.qualifier("blue").send().await.unwrap();
    assert_eq!(blue.memory_size(), Some(1024));
    assert_eq!(blue.layers().len(), 1);
    let variables = blue.environment().unwrap().variables().unwrap();
    assert_eq!(variables["TABLE"], "orders");
    // The secret is named, and nowhere told.
    assert_eq!(variables["API_TOKEN_SECRET"], "legacy-orders-v2-api-token");
    let live = hand.get_alias().function_name(NAME).name("live");
    let live = live.send().await.unwrap();
    assert_eq!(live.function_version(), Some("1"));
    let mappings = hand.list_event_source_mappings().send().await.unwrap();
    let reads_to_blue = mappings.event_source_mappings().iter().any(|mapping| {
        let arn = mapping.function_arn().unwrap_or_default();
        arn.ends_with(":blue") && mapping.batch_size() == Some(5)
    });
    assert!(reads_to_blue, "{mappings:?}");
    let url = hand.get_function_url_config().function_name(NAME);
    let url = url.qualifier("blue").send().await.unwrap();
    assert_eq!(url.auth_type().as_str(), "AWS_IAM");
}
