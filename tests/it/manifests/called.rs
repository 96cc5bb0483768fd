//! Names that functions have by the word of their manifest.

use insta::assert_snapshot;
use verdigris::manifest::fault::Fault;

use super::{PROD, read, told};

fn service(name: &str, aws: &str, azure: &str) -> String {
    format!(
        "apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: {{ name: {name} }}
spec:
  runtime: python3.13
  source: services/{name}
  azure: {{ {azure} }}
  functions:
    api: {{ handler: 'app:app', http: /, aws: {{ {aws} }} }}
"
    )
}

/// What is told of these services, and whose names stay.
fn of(services: &[&str]) -> String {
    let names = ["a.yaml", "b.yaml", "c.yaml"];
    let files = names.into_iter().zip(services.iter().copied());
    let files: Vec<_> = files.chain([("prod.yaml", PROD)]).collect();
    let set = read(&files);
    let kept: Vec<&str> = set.services.keys().map(|name| name.as_str()).collect();
    format!("{}good: {}", told(&set), kept.join(", "))
}

#[test]
fn a_name_is_one_that_the_cloud_takes() {
    let good = service("a", "name: Legacy_Orders-2", "name: Legacy-Orders");
    let set = read(&[("prod.yaml", PROD), ("a.yaml", &good)]);
    assert!(!set.faults.iter().any(Fault::is_error), "{}", told(&set));
    let service_a = &set.services.values().next().unwrap().service;
    let called = verdigris::desired::Release::new(
        service_a,
        set.environments.values().next().unwrap(),
        verdigris::name::ObjectId::new("a".repeat(40)).unwrap(),
        format!("main@sha1:{}", "a".repeat(40)).parse().unwrap(),
    );
    let called = called.content.called();
    let on_aws: Vec<_> = called.aws.values().collect();
    assert_eq!(on_aws, ["Legacy_Orders-2"]);
    // Azure minds no case.
    assert_eq!(called.azure.as_deref(), Some("legacy-orders"));

    let bad = service("a", "name: 'arn:aws:lambda:x'", "name: '-orders'");
    assert_snapshot!(of(&[&bad]), @r#"
    a.yaml:7:18: spec.azure.name: is no name of a Function App (help: 2 to 57 letters, digits and hyphens, no hyphen at either end: the name alone, not the resource id)
    a.yaml:9:54: spec.functions.api.aws.name: is no name of a Lambda function (help: at most 64 letters, digits, `-` and `_`: the name alone, not its ARN)
    good:
    "#);
    let for_all = good
        .replace("aws: { name: Legacy_Orders-2 }", "queue: orders")
        .replace("  azure:", "  aws: { name: orders }\n  azure:");
    assert_snapshot!(of(&[&for_all]), @r#"
    a.yaml:7:16: spec.aws.name: would be the name of every function (help: write it at the function: `functions: { NAME: { aws: { name: … } } }`)
    good:
    "#);
}

#[test]
fn no_two_functions_have_one_name() {
    let ours = service("stock", "", "");
    let taken = service("orders", "name: prod-stock-api", "name: shop-prod-stock");
    assert_snapshot!(of(&[&ours, &taken]), @r#"
    b.yaml:3:19: metadata.name: `shop-prod-stock` is the name of `prod/stock` on azure, too (help: each function is one service's in one environment: write another `name`, or remove it there; `${param:…}` tells environments apart)
    good: stock
    "#);
    let one = service("a", "name: Same", "");
    let other = service("b", "name: Same", "");
    assert_snapshot!(of(&[&one, &other]), @r#"
    b.yaml:3:19: metadata.name: `Same` is the name of `api` of `prod/a` on aws, too (help: each function is one service's in one environment: write another `name`, or remove it there; `${param:…}` tells environments apart)
    good: a
    "#);
    let (one, other) = (
        service("a", "", "name: Same"),
        service("b", "", "name: same"),
    );
    assert_snapshot!(of(&[&one, &other]), @r#"
    b.yaml:3:19: metadata.name: `same` is the name of `prod/a` on azure, too (help: each function is one service's in one environment: write another `name`, or remove it there; `${param:…}` tells environments apart)
    good: a
    "#);
}

#[test]
fn an_app_of_two_has_no_name_of_its_own() {
    let flex = PROD.replace("EP1", "FC1");
    let named = service("a", "", "name: orders");
    let set = read(&[("prod.yaml", &flex), ("a.yaml", &named)]);
    assert_snapshot!(told(&set), @r#"
    a.yaml:7:3: spec.azure: in `prod`: plan FC1 has no slots, so that the service is two apps (help: remove `name`: an app that is there cannot become one of the two)
    "#);
}
