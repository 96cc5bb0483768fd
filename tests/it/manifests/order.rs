//! What is told of services that depend on others, and of environments that follow others.

use super::{PROD, read, service, told};
use verdigris::manifest::set::Set;

/// A service that depends on others.
fn needing(name: &str, others: &str) -> String {
    format!("{}  dependsOn: [{others}]\n", service(name))
}

fn grouped(name: &str, group: &str) -> String {
    format!("{}  rollout: {{ group: {group} }}\n", service(name))
}

fn names(set: &Set) -> String {
    let names: Vec<&str> = set.services.keys().map(|name| name.as_str()).collect();
    names.join(" ")
}

fn follows(name: &str, other: &str) -> String {
    format!(
        "{}  follows: {other}\n",
        PROD.replace("name: prod", &format!("name: {name}"))
    )
}

#[test]
fn what_a_service_depends_on_must_be_there() {
    let set = read(&[
        ("cart.yaml", &needing("cart", "stok, price")),
        ("price.yaml", &service("price")),
        ("prod.yaml", PROD),
        ("stock.yaml", &service("stock")),
    ]);
    insta::assert_snapshot!(told(&set), @"cart.yaml:9:15: spec.dependsOn[0]: no service `stok` is defined (help: did you mean `stock`?)");
    assert_eq!(names(&set), "price stock");
}

#[test]
fn what_a_service_depends_on_must_run_where_it_does() {
    let staging = PROD.replace("name: prod", "name: staging");
    let stock = format!("{}  environments: [staging]\n", service("stock"));
    let set = read(&[
        ("cart.yaml", &needing("cart", "stock")),
        ("prod.yaml", PROD),
        ("staging.yaml", &staging),
        ("stock.yaml", &stock),
    ]);
    insta::assert_snapshot!(told(&set), @"cart.yaml:9:15: spec.dependsOn[0]: `stock` does not run in `prod`, where `cart` does (help: add `prod` to the environments of `stock`)");
}

#[test]
fn a_circle_is_told_with_its_path_and_stops_nobody_else() {
    let set = read(&[
        ("cart.yaml", &needing("cart", "price")),
        ("mail.yaml", &needing("mail", "cart")),
        ("price.yaml", &needing("price", "stock")),
        ("prod.yaml", PROD),
        ("stock.yaml", &needing("stock", "cart")),
        ("tax.yaml", &needing("tax", "tax")),
        ("web.yaml", &service("web")),
    ]);
    insta::assert_snapshot!(told(&set), @r"
    cart.yaml:9:15: spec.dependsOn[0]: `cart` depends on itself: cart (cart.yaml:9) → price (price.yaml:9) → stock (stock.yaml:9) → cart (cart.yaml:9) (help: remove one of these from `dependsOn`)
    price.yaml:9:15: spec.dependsOn[0]: `price` depends on itself: price (price.yaml:9) → stock (stock.yaml:9) → cart (cart.yaml:9) → price (price.yaml:9) (help: remove one of these from `dependsOn`)
    stock.yaml:9:15: spec.dependsOn[0]: `stock` depends on itself: stock (stock.yaml:9) → cart (cart.yaml:9) → price (price.yaml:9) → stock (stock.yaml:9) (help: remove one of these from `dependsOn`)
    tax.yaml:9:15: spec.dependsOn[0]: `tax` depends on itself: tax (tax.yaml:9) → tax (tax.yaml:9) (help: remove one of these from `dependsOn`)
    ");
    assert_eq!(names(&set), "mail web");
}

#[test]
fn a_group_that_waits_for_itself_by_way_of_another_service_is_a_circle() {
    let pay = format!("{}  rollout: {{ group: shop }}\n", needing("pay", "mail"));
    let set = read(&[
        ("cart.yaml", &grouped("cart", "shop")),
        ("mail.yaml", &needing("mail", "cart")),
        ("pay.yaml", &pay),
        ("prod.yaml", PROD),
    ]);
    insta::assert_snapshot!(told(&set), @r"
    cart.yaml:3:19: metadata.name: `cart` depends on itself: cart (cart.yaml:3) → mail (mail.yaml:9) → cart (cart.yaml:3) (help: services of one group are promoted together, and so wait for what any of them depends on: take one out of the group, or out of `dependsOn`)
    mail.yaml:9:15: spec.dependsOn[0]: `mail` depends on itself: mail (mail.yaml:9) → cart (cart.yaml:3) → mail (mail.yaml:9) (help: services of one group are promoted together, and so wait for what any of them depends on: take one out of the group, or out of `dependsOn`)
    ");
    assert_eq!(names(&set), "pay");
}

#[test]
fn members_of_a_group_may_depend_on_one_another() {
    let pay = format!("{}  rollout: {{ group: shop }}\n", needing("pay", "cart"));
    let set = read(&[
        ("cart.yaml", &grouped("cart", "shop")),
        ("pay.yaml", &pay),
        ("prod.yaml", PROD),
    ]);
    assert_eq!(told(&set), "");
    assert_eq!(names(&set), "cart pay");
}

#[test]
fn environments_do_not_follow_themselves_or_nobody() {
    let set = read(&[
        (
            "a.yaml",
            &follows("dev", "{ environment: test, after: 5m }"),
        ),
        ("b.yaml", &follows("test", "{ environment: stage }")),
        ("c.yaml", &follows("stage", "dev")),
        ("d.yaml", &follows("prod", "staging")),
        ("e.yaml", &follows("last", "stage")),
        ("f.yaml", &service("cart")),
    ]);
    insta::assert_snapshot!(told(&set), @r"
    a.yaml:13:27: spec.follows.environment: `dev` follows itself: dev (a.yaml:13) → test (b.yaml:13) → stage (c.yaml:13) → dev (a.yaml:13) (help: remove `follows` from one of them)
    b.yaml:13:27: spec.follows.environment: `test` follows itself: test (b.yaml:13) → stage (c.yaml:13) → dev (a.yaml:13) → test (b.yaml:13) (help: remove `follows` from one of them)
    c.yaml:13:12: spec.follows: `stage` follows itself: stage (c.yaml:13) → dev (a.yaml:13) → test (b.yaml:13) → stage (c.yaml:13) (help: remove `follows` from one of them)
    d.yaml:13:12: spec.follows: no environment `staging` is defined (help: did you mean `stage`?)
    ");
    let held: Vec<&str> = set.held.environments.iter().map(|it| it.as_str()).collect();
    assert_eq!(held, ["dev", "prod", "stage", "test"]);
}

#[test]
fn a_service_runs_where_its_releases_are_proven() {
    let set = read(&[
        ("prod.yaml", &follows("prod", "staging")),
        ("staging.yaml", &PROD.replace("name: prod", "name: staging")),
        (
            "cart.yaml",
            &format!("{}  environments: [prod]\n", service("cart")),
        ),
        ("web.yaml", &service("web")),
    ]);
    insta::assert_snapshot!(told(&set), @"cart.yaml:9:18: spec.environments[0]: `prod` follows `staging`, where this service does not run (help: add `staging` to `environments`)");
    assert_eq!(names(&set), "web");
}

#[test]
fn what_is_kept_from_commit_to_commit_is_what_is_put_together_afresh() {
    use std::{collections::BTreeMap, sync::Arc};
    use verdigris::manifest::set::{Changed, KeptSet, parse_file};
    let docs = |path: &str, text: &str| Arc::new(parse_file(path, text));
    let file = |name: &str| format!("{name}.yaml");
    let mut texts = BTreeMap::from([
        (file("cart"), needing("cart", "stock")),
        (file("prod"), PROD.to_owned()),
        (file("stock"), service("stock")),
        (file("web"), service("web")),
    ]);
    let all = |texts: &BTreeMap<String, String>| {
        let each = texts
            .iter()
            .map(|(path, text)| (path.clone(), docs(path, text)));
        each.collect::<BTreeMap<_, _>>()
    };
    let mut kept = KeptSet::new(all(&texts));
    let web = |text: String| (file("web"), Some(text));
    let longer = |text: String| text.replace("source", "timeout: 60s\n  source");
    let changes = [
        web(needing("web", "cart")),
        web(longer(needing("web", "cart"))),
        (file("stock"), None),
        (file("stock"), Some(needing("stock", "web"))),
        (file("stock"), Some(longer(needing("stock", "web")))),
        (file("stock"), Some(service("stock"))),
        (file("stock"), Some(longer(service("stock")))),
        web(needing("web", "nobody")),
        web(service("web")),
    ];
    let mut quick = Vec::new();
    for (path, text) in changes {
        match &text {
            Some(text) => texts.insert(path.clone(), text.clone()),
            None => texts.remove(&path),
        };
        let change = text.map(|text| docs(&path, &text));
        let changed = kept.update(BTreeMap::from([(path, change)]));
        quick.push(matches!(changed, Changed::Services(_)));
        let fresh = verdigris::manifest::set::assemble(&all(&texts));
        assert_eq!(told(kept.set()), told(&fresh));
        assert_eq!(names(kept.set()), names(&fresh));
        assert_eq!(kept.set().held, fresh.held);
    }
    // Only what changes the order of services costs a look at all of them.
    let expected = [false, true, false, false, false, false, true, false, false];
    assert_eq!(quick, expected);
}
