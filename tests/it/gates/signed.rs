//! Gates against functions that answer signed requests only, in a rollout over both local clouds.

use verdigris::name::{CloudName, FunctionName};

use crate::stage::real::{Site, is_live, is_of, until};

const SERVICE: &str = "services/inventory/service.yaml";

/// Every kind of gate that asks a function itself.
const GATES: &str = "    gates:
      - load: { rate: 20/s, for: 1s, p95: 10s, errors: 0%, path: /stock/42 }
      - parity: { requests: tests/golden.http }
";

#[tokio::test(flavor = "multi_thread")]
async fn gates_sign_what_they_ask_and_nobody_else_is_let_in() {
    let site = Site::new().await;
    let golden = "GET /stock/42\n\n### with a query\nGET /stock/4%202?b=%2F&a=1\n";
    site.author.write("tests/golden.http", golden).unwrap();
    site.edit(SERVICE, "    gates:\n", GATES);
    let signed = "  aws: { url: { auth: iam } }\n  env:\n";
    site.edit(SERVICE, "  env:\n", signed);
    let first = site.author.commit("the shop opens, to some").unwrap();
    let daemon = site.local_daemon().await;
    let key = "prod/inventory".parse().unwrap();
    let state = until(&daemon, &key, "live", |state| {
        is_of(state, &first) && is_live(state)
    })
    .await;

    let seen = &state.seen(CloudName::Aws).unwrap().observed;
    let stock = FunctionName::new("stock").unwrap();
    let address = &seen.blue.holding().unwrap().addresses[&stock];
    let url = address.join("/stock/42").unwrap();
    let refused = reqwest::get(url).await.unwrap();
    assert_eq!(refused.status(), 403);
    let named = refused.headers()["x-amzn-errortype"].clone();
    assert_eq!(named, "AccessDeniedException");
    let told = refused.text().await.unwrap();
    assert!(told.starts_with(r#"{"Message":"Forbidden."#), "{told}");

    // Blue lets in others than the release that is measured against it.
    for (from, to) in [("iam", "none"), ("none", "iam")] {
        let auth = |who: &str| format!("auth: {who}");
        site.edit(SERVICE, &auth(from), &auth(to));
        let commit = site.author.commit(&format!("open to {to}")).unwrap();
        until(&daemon, &key, to, |state| {
            is_of(state, &commit) && is_live(state)
        })
        .await;
    }
    daemon.stop().await;
}
