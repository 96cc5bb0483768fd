//! Promotion windows and approvals as they are written.

use std::time::Duration;

use verdigris::manifest::spec::{GateKind, WindowEffect};

use super::{PROD, read, told};

const HEAD: &str = "apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: stock }
spec:
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
";

#[test]
fn windows_and_approvals_are_read_as_written() {
    let rollout = "    gates:
      - approval: { by: [ana], roles: [release-manager], quorum: 2, expires: 24h }
    windows:
      - { allow: 0 9 * * MON-FRI, for: 8h, timeZone: Europe/Brussels }
      - { deny: 0 0 20 12 *, for: 14d, reason: end of year }
";
    let environment = format!("{PROD}  windows: [{{ deny: '* * * * *', for: 1m }}]\n");
    let set = read(&[
        ("prod.yaml", &environment),
        ("a.yaml", &format!("{HEAD}{rollout}")),
    ]);
    assert_eq!(told(&set), "");
    let placed = set.services.values().next().unwrap();
    let rollout = &placed.service.rollout;
    let windows: Vec<String> = rollout.windows.iter().map(ToString::to_string).collect();
    assert_eq!(
        windows,
        [
            "allow `0 9 * * MON-FRI` for 8h, Europe/Brussels",
            "deny `0 0 20 12 *` for 14d, UTC (end of year)",
        ]
    );
    let GateKind::Approval(approval) = &rollout.gates[0].kind else {
        panic!("{:?}", rollout.gates);
    };
    assert_eq!(approval.roles, ["release-manager"]);
    assert_eq!(approval.expires, Some(Duration::from_secs(24 * 3600)));
    let prod = set.environments.values().next().unwrap();
    assert_eq!(prod.windows[0].effect, WindowEffect::Deny);
}

#[test]
fn windows_that_make_no_sense_are_told_all_at_once() {
    let rollout = "    windows:
      - { allow: 0 9 * *, for: 8h }
      - { allow: 0 9 30 2 *, for: 8h }
      - { allow: 0 9 * * *, deny: 0 9 * * *, for: 8h }
      - { for: 8h }
      - { deny: 0 9 * * *, for: 0s, timeZone: Europe/Brusels }
      - { deny: 0 9 * * * }
";
    let set = read(&[("prod.yaml", PROD), ("a.yaml", &format!("{HEAD}{rollout}"))]);
    insta::assert_snapshot!(told(&set));
}
