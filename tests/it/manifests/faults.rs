//! Every rule, by what a person who breaks it is told.

use super::{PROD, read, told};

const GOOD: &str = "
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
";

/// The spec of a service, in a repository with an environment `prod`.
#[track_caller]
fn check_service(spec: &str, expected: &str) {
    let head =
        "apiVersion: verdigris.dev/v1alpha1\nkind: Service\nmetadata: { name: stock }\nspec:";
    check_document(&format!("{head}{spec}"), expected);
}

/// A file in a repository with an environment `prod`.
#[track_caller]
fn check_document(text: &str, expected: &str) {
    let set = read(&[("prod.yaml", PROD), ("a.yaml", text.trim_start())]);
    check(&told(&set), expected);
}

#[track_caller]
fn check_alone(text: &str, expected: &str) {
    check(&told(&read(&[("a.yaml", text.trim_start())])), expected);
}

#[track_caller]
fn check(told: &str, expected: &str) {
    assert_eq!(
        told.trim(),
        expected.trim(),
        "\n--- told:\n{told}--- expected:{expected}"
    );
}

#[test]
fn unknown_keys_name_the_near_one() {
    check_service(
        r#"
  runtme: python3.13
  source: services/stock
  functions:
    api:
      handler: app:app
      htp: GET /stock/{sku}
      azure: { memory: 512 }
  colour: green
"#,
        r#"
a.yaml:4:1: spec: `runtime` is missing
a.yaml:5:3: spec.runtme: unknown key (help: did you mean `runtime`?)
a.yaml:10:7: spec.functions.api.htp: unknown key (help: did you mean `http`?)
a.yaml:11:7: spec.functions.api.azure: unknown key (help: both clouds get the same values here, but for what stands under a service's `azure` and a function's or service's `aws`)
a.yaml:12:3: spec.colour: unknown key (help: known here: environments, runtime, source, build, functions, memory, timeout, env, dependsOn, rollout, drift, aws, azure, params)
"#,
    );
}

#[test]
fn what_is_missing_is_told_at_its_parent() {
    check_service(
        r#"
  build: make
  functions:
    api: { http: / }
"#,
        r#"
a.yaml:4:1: spec: `runtime` is missing
a.yaml:4:1: spec: `source` is missing
a.yaml:7:5: spec.functions.api: `handler` is missing
"#,
    );
}

#[test]
fn wrong_types_say_what_they_are() {
    check_service(
        r#"
  runtime: 3.13
  source: [services]
  functions:
    - api
  build:
  env: text
  rollout: { gates: { http: / }, across: 5 }
  drift: true
"#,
        r#"
a.yaml:5:12: spec.runtime: must be text, but is a number (help: write it in quotes)
a.yaml:6:11: spec.source: must be text, but is a list
a.yaml:8:5: spec.functions: must be a map, but is a list
a.yaml:9:9: spec.build: must be text, but is empty (help: give it a value, or remove the key)
a.yaml:10:8: spec.env: must be a map, but is text
a.yaml:11:21: spec.rollout.gates: must be a list, but is a map
a.yaml:11:42: spec.rollout.across: must be `together` or a list such as `[aws, azure]`, but is a number
a.yaml:12:10: spec.drift: must be `enforce`, `observe` or a map such as `{ ignore: [stock.memory] }`, but is a boolean
"#,
    );
}

#[test]
fn unknown_words_name_the_near_one() {
    check_service(
        r#"
  runtime: pyton3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: FETCH /x }
  drift: enforced
"#,
        r#"
a.yaml:5:12: spec.runtime: no runtime `pyton3.13` on both clouds (help: write one of: python3.10, python3.11, python3.12, python3.13, nodejs20, nodejs22, nodejs24, executable)
a.yaml:8:36: spec.functions.api.http: no HTTP method `FETCH` (help: write one of: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS)
a.yaml:9:10: spec.drift: `enforced` is not known (help: did you mean `enforce`?)
"#,
    );
}

#[test]
fn runtimes_are_those_of_both_clouds() {
    check_service(
        r#"
  runtime: python3.14
  source: a
  functions: { api: { handler: app:app, http: / } }
"#,
        r#"
a.yaml:5:12: spec.runtime: no runtime `python3.14` on both clouds (help: write one of: python3.10, python3.11, python3.12, python3.13, nodejs20, nodejs22, nodejs24, executable)
"#,
    );
}

#[test]
fn duplicate_keys_are_told_wherever_they_stand() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  source: services/other
  env: { A: '1', B: '2', A: '3' }
  rollout:
    gates:
      - http: { path: /, expect: { json: { /a: { b: 1, b: 2 } } } }
"#,
        r#"
a.yaml:9:3: spec.source: this key stands here twice (help: keep one)
a.yaml:10:26: spec.env.A: this key stands here twice (help: keep one)
a.yaml:13:56: spec.rollout.gates[0].http.expect.json."/a".b: this key stands here twice (help: keep one)
"#,
    );
}

#[test]
fn durations_need_a_unit_and_a_sense() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  timeout: 30
  rollout:
    bake: -5s
    gates:
      - { http: { path: /, latency: '' }, interval: 9999999h, initialDelay: 1h-30m, timeout: '10' }
      - { http: { path: /, latency: 1 year }, timeout: 0s }
"#,
        r#"
a.yaml:9:12: spec.timeout: has no unit (help: write `30s` for seconds)
a.yaml:11:11: spec.rollout.bake: a duration is not negative (help: write it like `300ms`, `30s`, `10m` or `1h30m`)
a.yaml:13:37: spec.rollout.gates[0].http.latency: is no duration (help: write it like `300ms`, `30s`, `10m` or `1h30m`)
a.yaml:13:53: spec.rollout.gates[0].interval: `9999999h` is too long (help: at most 30 days)
a.yaml:13:77: spec.rollout.gates[0].initialDelay: `1h-30m` is no duration (help: write it like `300ms`, `30s`, `10m` or `1h30m`)
a.yaml:13:94: spec.rollout.gates[0].timeout: has no unit (help: write `10s` for seconds)
a.yaml:14:37: spec.rollout.gates[1].http.latency: `1 year` is no duration (help: write it like `300ms`, `30s`, `10m` or `1h30m`)
a.yaml:14:56: spec.rollout.gates[1].timeout: leaves no time for an answer (help: such as `30s`)
"#,
    );
}

#[test]
fn a_timeout_fits_lambda() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  functions:
    one: { handler: app:app, http: /1, timeout: 16m }
    two: { handler: app:app, http: /2, timeout: 0s }
    three: { handler: app:app, http: /3, timeout: 1500ms }
"#,
        r#"
a.yaml:8:49: spec.functions.one.timeout: is not between 1s and 900s (help: Lambda allows no other time)
a.yaml:9:49: spec.functions.two.timeout: is not between 1s and 900s (help: Lambda allows no other time)
a.yaml:10:51: spec.functions.three.timeout: a function's timeout is whole seconds (help: write `2s`)
"#,
    );
}

#[test]
fn memory_fits_lambda() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  memory: 64Mi
  functions:
    one: { handler: app:app, http: /1, memory: 11Gi }
    two: { handler: app:app, http: /2, memory: lots }
    three: { handler: app:app, http: /3, memory: -1 }
    four: { handler: app:app, http: /4, memory: 99999999999999999999 }
"#,
        r#"
a.yaml:7:11: spec.memory: `64Mi` is not between 128Mi and 10240Mi (help: Lambda allows no other size)
a.yaml:9:48: spec.functions.one.memory: `11Gi` is not between 128Mi and 10240Mi (help: Lambda allows no other size)
a.yaml:10:48: spec.functions.two.memory: `lots` is no size (help: write it like `256Mi`)
a.yaml:11:50: spec.functions.three.memory: `-1` is no size (help: write it like `256Mi`)
a.yaml:12:49: spec.functions.four.memory: `99999999999999999999` is no size (help: write it like `256Mi`)
"#,
    );
}

#[test]
fn variables_of_the_platform_are_refused() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  env:
    PORT: 80
    AWS_REGION: x
    website_name: x
    AzureWebJobsStorage: x
    _HANDLER: x
    1x: y
    A-B: y
    a: '1'
    A: '2'
    LIST: [1]
    NOTHING:
    EMPTY_SECRET: { secret: '' }
    MISSPELT: { secrt: db }
"#,
        r#"
a.yaml:10:5: spec.env.PORT: the variable `PORT` belongs to the platform (help: choose another name)
a.yaml:11:5: spec.env.AWS_REGION: the variable `AWS_REGION` belongs to the platform (help: choose another name)
a.yaml:12:5: spec.env.website_name: the variable `website_name` belongs to the platform (help: choose another name)
a.yaml:13:5: spec.env.AzureWebJobsStorage: the variable `AzureWebJobsStorage` belongs to the platform (help: choose another name)
a.yaml:14:5: spec.env._HANDLER: the variable `_HANDLER` belongs to the platform (help: choose another name)
a.yaml:15:5: spec.env.1x: `1x` is no name of a variable (help: letters, digits and `_`, starting with a letter, such as `LOG_LEVEL`)
a.yaml:16:5: spec.env.A-B: `A-B` is no name of a variable (help: letters, digits and `_`, starting with a letter, such as `LOG_LEVEL`)
a.yaml:18:5: spec.env.A: Azure cannot tell it from `a` (help: names must differ in more than case)
a.yaml:19:11: spec.env.LIST: must be text or `{ secret: NAME }`, but is a list
a.yaml:20:13: spec.env.NOTHING: must be text or `{ secret: NAME }`, but is empty (help: give it a value, or remove the key)
a.yaml:21:29: spec.env.EMPTY_SECRET.secret: is empty (help: give it a value, or remove the key)
a.yaml:22:5: spec.env.MISSPELT: `secret` is missing
a.yaml:22:17: spec.env.MISSPELT.secrt: unknown key (help: did you mean `secret`?)
"#,
    );
}

#[test]
fn variables_fit_lambda() {
    check_service(
        &format!("{}  env: {{ A: {} }}\n", GOOD, "x".repeat(3800)),
        r#"
a.yaml:8:5: spec.functions.api: its variables take 3801 bytes; Lambda leaves 3776 (help: keep large values in a file or a secret)
"#,
    );
}

#[test]
fn functions_of_one_app_share_their_variables() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  functions:
    one: { handler: app:app, http: /1, env: { A: '1' } }
    two: { handler: app:app, http: /2, env: { A: '2' } }
"#,
        r#"
a.yaml:9:5: warning: spec.functions.two: `A` differs from that of `one` (help: on Azure all functions of a service share their variables)
"#,
    );
}

#[test]
fn handlers_fit_their_runtime() {
    check_service(
        r#"
  runtime: nodejs22.x
  source: a
  functions:
    one: { handler: app:app, http: /1 }
    two: { handler: ../x.mjs, http: /2 }
    three: { handler: '', http: /3 }
"#,
        r#"
a.yaml:8:21: spec.functions.one.handler: is no handler of this runtime (help: `file.mjs` or `file.mjs:export`)
a.yaml:9:21: spec.functions.two.handler: is no handler of this runtime (help: `file.mjs` or `file.mjs:export`)
a.yaml:10:23: spec.functions.three.handler: is empty (help: give it a value, or remove the key)
"#,
    );
}

#[test]
fn routes_of_one_service_do_not_collide() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  functions:
    one: { handler: app:app, http: 'GET,POST /stock/{sku}' }
    two: { handler: app:app, http: 'post /stock/{id}' }
    three: { handler: app:app, http: 'DELETE /stock/{id}' }
    four: { handler: app:app, http: 'ANY /stock/{x}/' }
"#,
        r#"
a.yaml:9:36: spec.functions.two.http: `one` answers the same requests (help: give them different methods or paths)
a.yaml:11:37: spec.functions.four.http: `one` answers the same requests (help: give them different methods or paths)
"#,
    );
}

#[test]
fn routes_are_well_formed() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  functions:
    a: { handler: app:app, http: stock }
    b: { handler: app:app, http: '/x?y=1' }
    c: { handler: app:app, http: '/{a}/{a}' }
    d: { handler: app:app, http: '/{rest+}/x' }
    e: { handler: app:app, http: '/x{y}' }
    f: { handler: app:app, http: '/a//b' }
"#,
        r#"
a.yaml:8:34: spec.functions.a.http: no HTTP method `stock` (help: write one of: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS)
a.yaml:9:34: spec.functions.b.http: a path holds no query, fragment or space (help: write it like `GET /stock/{sku}`)
a.yaml:10:34: spec.functions.c.http: `{a}` stands in this path twice
a.yaml:11:34: spec.functions.d.http: `{rest+}` takes the rest, so it must be last
a.yaml:12:34: spec.functions.e.http: `x{y}` is no part of a path (help: a part is plain text, `{name}`, or `{name+}` at the end)
a.yaml:13:34: spec.functions.f.http: `` is no part of a path (help: a part is plain text, `{name}`, or `{name+}` at the end)
"#,
    );
}

#[test]
fn queues_and_schedules_are_well_formed() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  functions:
    a: { handler: app:app, queue: Orders.fifo }
    b: { handler: app:app, schedule: '* * * *' }
    c: { handler: app:app, schedule: '61 * * * *' }
    d: { handler: app:app, schedule: '*/15 9-17 1,15 JAN-JUN MON-FRI' }
    e: { handler: app:app, schedule: '* 5-3 * * *' }
    f: { handler: app:app }
"#,
        r#"
a.yaml:8:35: spec.functions.a.queue: is no name of a queue on both clouds (help: 3 to 63 lower-case letters, digits and single hyphens)
a.yaml:9:38: spec.functions.b.schedule: has 4 fields (help: write five fields: minute, hour, day of month, month, day of week, such as `*/15 * * * *`)
a.yaml:10:38: spec.functions.c.schedule: `61` is no minute (help: 0 to 59, with `*`, `a-b`, `*/n` and `,`)
a.yaml:12:38: spec.functions.e.schedule: `5-3` is no hour (help: 0 to 23, with `*`, `a-b`, `*/n` and `,`)
a.yaml:13:5: warning: spec.functions.f: nothing calls this function (help: add `http`, `queue` or `schedule`)
"#,
    );
}

#[test]
fn a_service_has_functions() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  functions: {}
"#,
        r#"
a.yaml:7:3: spec.functions: a service has at least one function (help: add one, such as `api: { handler: app:app, http: / }`)
"#,
    );
}

#[test]
fn sources_stay_in_the_repository() {
    check_service(
        r#"
  runtime: python3.13
  source: ../other
  functions: { api: { handler: app:app, http: / } }
"#,
        r#"
a.yaml:6:11: spec.source: path `../other` must be relative to the repository's root, without `.`, `..`, `.git` or backslashes (help: write it like `services/stock`)
"#,
    );
}

#[test]
fn gates_have_one_kind_and_sensible_values() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
    gates:
      - {}
      - http: { path: /, status: 200 }
        command: ./smoke.sh
      - load: { rate: 50/s }
      - shadow: { share: 5% }
      - htpp: { path: / }
      - http: { path: stock, method: FETCH, status: 1000, retries: 1000, headers: { 'a b': x }, expect: { json: { a.b: 1 } } }
      - command: ''
      - command: { run: [a] }
      - approval: { by: [ana], quorum: 2 }
      - { approval: {}, count: 10001, failureLimit: -2, dryRun: 'yes', after: lunch }
"#,
        r#"
a.yaml:11:9: spec.rollout.gates[0]: this gate has no kind (help: add one of: http, load, parity, metric, command, approval, gate)
a.yaml:13:9: spec.rollout.gates[1].command: a gate has one kind only (help: make it a gate of its own)
a.yaml:14:9: spec.rollout.gates[2].load: `for` is missing
a.yaml:15:9: spec.rollout.gates[3].shadow: this gate needs the log of the gateway's requests, which is not kept yet (help: `parity` compares green with blue by recorded requests)
a.yaml:16:9: spec.rollout.gates[4].htpp: unknown key (help: did you mean `http`?)
a.yaml:17:23: spec.rollout.gates[5].http.path: must start with `/` and hold no space or fragment (help: such as `/stock/42?full=1`; the host is the slot's)
a.yaml:17:38: spec.rollout.gates[5].http.method: no HTTP method `FETCH` (help: write one of: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS)
a.yaml:17:53: spec.rollout.gates[5].http.status: `1000` is no HTTP status (help: 100 to 599)
a.yaml:17:68: spec.rollout.gates[5].http.retries: must be at most 100
a.yaml:17:85: spec.rollout.gates[5].http.headers."a b": is no name of a header (help: such as `x-request-id`)
a.yaml:17:115: spec.rollout.gates[5].http.expect.json."a.b": a JSON pointer starts with `/`, a JSON path with `$` (help: write `/a/b` or `$.a.b`)
a.yaml:18:18: spec.rollout.gates[6].command: is empty (help: give it a value, or remove the key)
a.yaml:19:25: spec.rollout.gates[7].command.run: must be text, but is a list
a.yaml:20:40: spec.rollout.gates[8].approval.quorum: 2 must approve, but `by` names 1
a.yaml:21:32: spec.rollout.gates[9].count: must be at most 10000 (help: 0 goes on until the bake ends)
a.yaml:21:53: spec.rollout.gates[9].failureLimit: `-2` is no whole number from 0 on
a.yaml:21:65: spec.rollout.gates[9].dryRun: must be true or false, but is text
a.yaml:21:79: spec.rollout.gates[9].after: `lunch` is not known (help: write one of: staging, promotion)
"#,
    );
}

#[test]
fn gates_that_measure_say_what_is_wrong_with_them() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
    gates:
      - load: { rate: 50, for: 20s, p95: 300ms, errors: 0.1 }
      - load: { rate: 50/s, for: 20s }
      - { load: { path: /, rate: 1000/s, for: 1h, max: 0 } }
      - { load: { path: /, rate: 5/s, for: 1m }, timeout: 30s }
      - parity: { requests: ../x.http, against: everyone }
      - parity: { requests: a.http, ignore: [$.at], replace: [{ pattern: '(' }], unsafe: yes }
      - { parity: { requests: a.http, against: blue }, after: promotion }
      - metric: { prometheus: { query: 'up{release="${relase}"}' } }
      - metric: { max: 1 }
      - metric: { cloudwatch: { metric: Errors, statistic: sum, over: 90s }, min: 2, max: 1, tolerance: 10% }
      - metric: { azureMonitor: { metric: x, aggregation: Sum, resource: /a/../b }, against: blue }
"#,
        r#"
a.yaml:11:23: spec.rollout.gates[0].load.rate: `50` is no rate (help: write it like `50/s`, `300/m` or `10/h`)
a.yaml:11:57: spec.rollout.gates[0].load.errors: `0.1` is no share (help: write it like `0.1%`)
a.yaml:12:9: spec.rollout.gates[1]: this load has no path, and no `http` gate has one that it could take (help: add `path`, such as `/stock/42`)
a.yaml:13:56: spec.rollout.gates[2].load.max: must be between 1 and 1000
a.yaml:14:59: spec.rollout.gates[3].timeout: the load takes up to 70s (help: leave `timeout` out)
a.yaml:15:29: spec.rollout.gates[4].parity.requests: path `../x.http` must be relative to the repository's root, without `.`, `..`, `.git` or backslashes (help: write it like `services/stock`)
a.yaml:15:49: spec.rollout.gates[4].parity.against: `everyone` is not known (help: write one of: clouds, blue, both)
a.yaml:16:46: spec.rollout.gates[5].parity.ignore[0]: a JSON pointer starts with `/` (help: write `/at`)
a.yaml:16:74: spec.rollout.gates[5].parity.replace[0].pattern: is no regular expression: unclosed group
a.yaml:16:90: spec.rollout.gates[5].parity.unsafe: `yes` is not known (help: write one of: allow)
a.yaml:17:63: spec.rollout.gates[6].after: after the promotion there is no other blue to compare with (help: leave `after` out)
a.yaml:18:9: spec.rollout.gates[7].metric: nothing is asked of this metric (help: add one of: max, min, `against: blue`)
a.yaml:18:40: spec.rollout.gates[7].metric.prometheus.query: `${relase}` is not known (help: known here: ${service}, ${environment}, ${release}, ${revision}, ${slot}, ${cloud})
a.yaml:19:9: spec.rollout.gates[8].metric: this metric has no source (help: add one of: prometheus, cloudwatch, azureMonitor)
a.yaml:20:60: spec.rollout.gates[9].metric.cloudwatch.statistic: is no statistic of CloudWatch (help: write one of: Sum, Average, Minimum, Maximum, SampleCount, p99)
a.yaml:20:71: spec.rollout.gates[9].metric.cloudwatch.over: must be whole minutes, and at most a day (help: such as `5m`)
a.yaml:20:83: spec.rollout.gates[9].metric.min: no number is above `min` and below `max`
a.yaml:20:94: spec.rollout.gates[9].metric.tolerance: `tolerance` means something together with `against: blue` only
a.yaml:21:59: spec.rollout.gates[10].metric.azureMonitor.aggregation: is no aggregation of Azure Monitor (help: write one of: Total, Average, Minimum, Maximum, Count)
a.yaml:21:74: spec.rollout.gates[10].metric.azureMonitor.resource: is no id of a resource (help: write its id: `/subscriptions/…/resourceGroups/…/providers/…`)
"#,
    );
}

#[test]
fn limits_let_a_gate_end_and_let_nothing_pass_that_never_succeeded() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
    gates:
      - { name: a, http: { path: / }, count: 0 }
      - { name: b, http: { path: / }, failureLimit: 1 }
      - { name: c, http: { path: / }, count: 4, failureLimit: 2, inconclusiveLimit: 2 }
      - { name: d, http: { path: / }, count: 4, failureLimit: -1 }
      - { name: e, http: { path: / }, count: 4, successLimit: 5 }
      - { name: f, http: { path: / }, failureLimit: -1, successLimit: 3 }
      - { name: g, http: { path: / }, after: promotion, interval: 5s, failureLimit: 3 }
      - { name: h, http: { path: / }, after: promotion, count: 0 }
"#,
        r#"
a.yaml:11:46: spec.rollout.gates[0].count: would ask green without end (help: write a `count`, a `successLimit`, or `after: promotion`)
a.yaml:12:53: spec.rollout.gates[1].failureLimit: forgives all of 1, so the gate would pass though nothing succeeded (help: `count` must be at least 2)
a.yaml:13:63: spec.rollout.gates[2].failureLimit: forgives all of 4, so the gate would pass though nothing succeeded (help: `count` must be at least 5)
a.yaml:14:63: spec.rollout.gates[3].failureLimit: forgives every failure (help: write a `successLimit` that says how many successes in a row are enough)
a.yaml:15:63: spec.rollout.gates[4].successLimit: 5 successes in a row cannot be had from 4 (help: `count` must be at least 5)
"#,
    );
}

#[test]
fn conditions_parse_and_know_only_what_their_gate_finds() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
    gates:
      - { name: a, http: { path: / }, successCondition: json.left > 0 && latencyMs < 300 }
      - { name: b, http: { path: / }, successCondition: latency < 300 }
      - { name: c, http: { path: / }, successCondition: status, failureCondition: status == "500" }
      - { name: d, command: ./smoke.sh, successCondition: status == 200 }
      - { name: e, command: ./smoke.sh, successCondition: 'exit == 0 || output.contains("skipped")' }
      - { name: f, http: { path: / }, failureCondition: 'status == 500 and' }
      - { name: g, approval: {}, successCondition: 'true' }
"#,
        r#"
a.yaml:12:57: spec.rollout.gates[1].successCondition: `latency` is not known here (help: did you mean `latencyMs`?)
a.yaml:13:57: spec.rollout.gates[2].successCondition: is a whole number, and must be true or false (help: compare it, such as `status > 0`)
a.yaml:13:83: spec.rollout.gates[2].failureCondition: a whole number is never text (help: numbers stand without quotes)
a.yaml:14:59: spec.rollout.gates[3].successCondition: `status` is not known here (help: known here: exit, output)
a.yaml:16:57: spec.rollout.gates[5].failureCondition: is no CEL expression from `and` on (column 15) (help: such as `status == 200 && latencyMs < 300`)
a.yaml:17:34: spec.rollout.gates[6].successCondition: an approval has no condition (help: people say yes or no; nothing is found that could be judged)
"#,
    );
}

#[test]
fn a_chain_of_requests_asks_only_for_what_was_captured_before() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
    gates:
      - http:
          requests:
            - { path: /orders, method: POST, capture: { id: $.id, tag: { header: etag }, 'a b': /x } }
            - { path: '/orders/${id}', headers: { if-match: '${tag}' }, expect: { json: { $.id: '${id}' } } }
            - { path: '/orders/${key}', body: '$${key} ${ } ${other}' }
            - { expect: { json: { '$.a[': 1 } }, capture: { b: {}, c: b } }
      - http: { path: /, requests: [] }
      - http: { method: POST }
"#,
        r#"
a.yaml:13:90: spec.rollout.gates[0].http.requests[0].capture."a b": is no name for a captured value (help: letters, digits and `_`, such as `orderId`)
a.yaml:15:23: spec.rollout.gates[0].http.requests[2].path: no request before this one captures `key` (help: `$${key}` stands for the text `${key}` itself)
a.yaml:15:47: spec.rollout.gates[0].http.requests[2].body: no request before this one captures `other` (help: `$${other}` stands for the text `${other}` itself)
a.yaml:16:15: spec.rollout.gates[0].http.requests[3]: `path` is missing
a.yaml:16:35: spec.rollout.gates[0].http.requests[3].expect.json."$.a[": is no JSON path: see column 4 (help: such as `$.items[0].sku` (RFC 9535))
a.yaml:16:64: spec.rollout.gates[0].http.requests[3].capture.b: must be `json` or `header` (help: one of the two)
a.yaml:16:71: spec.rollout.gates[0].http.requests[3].capture.c: a JSON pointer starts with `/`, a JSON path with `$` (help: write `/b` or `$.b`)
a.yaml:17:17: spec.rollout.gates[1].http.path: does not stand beside `requests` (help: write it into one of the `requests`)
a.yaml:17:36: spec.rollout.gates[1].http.requests: must be between 1 and 20 requests
a.yaml:18:9: spec.rollout.gates[2].http: `path` is missing
"#,
    );
}

#[test]
fn gates_of_one_service_differ_in_name() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
    gates:
      - { name: smoke, http: { path: / } }
      - { name: smoke, http: { path: /x } }
"#,
        r#"
a.yaml:12:17: spec.rollout.gates[1].name: two gates of this service are called `smoke` (help: give one another `name`)
"#,
    );
}

#[test]
fn what_stands_elsewhere_is_told_with_the_rest() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  colour: green
  environments: [prd]
  rollout:
    gates:
      - gate: smoek
"#,
        r#"
a.yaml:9:3: spec.colour: unknown key (help: known here: environments, runtime, source, build, functions, memory, timeout, env, dependsOn, rollout, drift, aws, azure, params)
a.yaml:10:18: spec.environments[0]: no environment `prd` is defined (help: did you mean `prod`?)
a.yaml:13:15: spec.rollout.gates[0].gate: no gate `smoek` is defined (help: none is defined in this repository)
"#,
    );
}

#[test]
fn references_to_gates_lead_somewhere_and_stand_alone() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
    gates:
      - gate: smoek
      - { gate: other, count: 3 }
"#,
        r#"
a.yaml:11:15: spec.rollout.gates[0].gate: no gate `smoek` is defined (help: none is defined in this repository)
a.yaml:12:17: spec.rollout.gates[1].gate: no gate `other` is defined (help: none is defined in this repository)
a.yaml:12:24: spec.rollout.gates[1].count: a reference to a gate cannot change it (help: write it into the `Gate` document, as a parameter where it differs)
"#,
    );
}

#[test]
fn the_order_of_clouds_names_both() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
    across: [aws, aws]
"#,
        r#"
a.yaml:10:13: spec.rollout.across: must name both clouds once (help: write `[aws, azure]`, `[azure, aws]` or `together`)
"#,
    );
}

#[test]
fn the_order_of_clouds_knows_two() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  rollout:
    across: { order: [aws, gcp], soak: 5 }
"#,
        r#"
a.yaml:10:28: spec.rollout.across.order[1]: `gcp` is not known (help: write one of: aws, azure)
a.yaml:10:40: spec.rollout.across.soak: has no unit (help: write `5s` for seconds)
"#,
    );
}

#[test]
fn environments_are_defined() {
    check_service(
        r#"
  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: / }
  environments: [prd, prod, prod]
"#,
        r#"
a.yaml:9:18: spec.environments[0]: no environment `prd` is defined (help: did you mean `prod`?)
a.yaml:9:29: spec.environments[2]: stands here twice (help: keep one)
"#,
    );
}

#[test]
fn a_flow_mapping_is_pointed_into_exactly() {
    check_service(
        r#"
  { runtime: python3.13, source: a,   # a comment: { x
    "functions": {'api': {"handlr": app:app, http: / }},
    rollout: {gates: [{http: {path: /}}, {http: {pth: /}}]} }
"#,
        r#"
a.yaml:6:19: spec.functions.api: `handler` is missing
a.yaml:6:27: spec.functions.api.handlr: unknown key (help: did you mean `handler`?)
a.yaml:7:43: spec.rollout.gates[1].http: `path` is missing
a.yaml:7:50: spec.rollout.gates[1].http.pth: unknown key (help: did you mean `path`?)
"#,
    );
}

#[test]
fn a_value_behind_an_alias_is_pointed_at_where_it_is_written() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  functions:
    one: &f { handler: app:app, http: /1, memory: 1 }
    two: *f
"#,
        r#"
a.yaml:8:39: spec.functions.two.http: `one` answers the same requests (help: give them different methods or paths)
a.yaml:8:51: spec.functions.one.memory: `1` is not between 128Mi and 10240Mi (help: Lambda allows no other size)
a.yaml:8:51: spec.functions.two.memory: `1` is not between 128Mi and 10240Mi (help: Lambda allows no other size)
"#,
    );
}

#[test]
fn names_that_clouds_would_refuse() {
    check_document(
        r#"
apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: a-service-with-quite-a-long-name }
spec:
  runtime: python3.13
  source: a
  functions:
    a-function-with-a-long-name: { handler: app:app, http: / }
"#,
        r#"
a.yaml:3:19: warning: metadata.name: in `prod`: the Function App `shop-prod-a-service-with-quite-a-long-name` and its slot `green` agree in their first 32 characters, so Azure's host gives both one id (help: shorten the service or the environment's prefix by 12)
a.yaml:8:5: spec.functions.a-function-with-a-long-name: in `prod`: the Lambda function `prod-a-service-with-quite-a-long-name-a-function-with-a-long-name` would have a name of 65 characters, and 64 are allowed (help: shorten service or function by 1)
"#,
    );
}

#[test]
fn an_app_and_its_slot_want_different_host_ids() {
    check_document(
        r#"
apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: stock-keeping-and-more }
spec:
  runtime: python3.13
  source: a
  functions:
    a: { handler: app:app, http: / }
"#,
        r#"
a.yaml:3:19: warning: metadata.name: in `prod`: the Function App `shop-prod-stock-keeping-and-more` and its slot `green` agree in their first 32 characters, so Azure's host gives both one id (help: shorten the service or the environment's prefix by 2)
"#,
    );
}

#[test]
fn names_say_which_rule_they_break() {
    check_document(
        r#"
apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: Stock_Api, labels: { team: [x] }, nme: x }
spec:
  runtime: python3.13
  source: a
  functions:
    1st: { handler: app:app, http: / }
"#,
        r#"
a.yaml:3:19: metadata.name: the name `Stock_Api` may hold lower-case letters, digits and hyphens only (help: write `stock-api`)
a.yaml:3:46: metadata.labels.team: must be text, but is a list
a.yaml:3:53: metadata.nme: unknown key (help: known here: name, labels, annotations)
a.yaml:8:5: spec.functions.1st: the name `1st` must start with a letter
"#,
    );
}

#[test]
fn what_the_plan_does_not_have_is_a_warning() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  functions:
    a: { handler: app:app, http: /, memory: 8Gi, timeout: 15m }
"#,
        r#"
a.yaml:8:5: warning: spec.functions.a: in `prod`: asks for 8192 MiB; an instance of EP1 on Azure has 3584 MiB (help: the clouds will differ here)
a.yaml:8:5: warning: spec.functions.a: in `prod`: may take 900s to answer; Azure gives up on a request after 230s (help: the clouds will differ here)
"#,
    );
}

#[test]
fn sources_that_azure_does_not_have_are_warnings() {
    check_service(
        r#"
  runtime: python3.13
  source: a
  functions:
    a: { handler: app:app, queue: orders, aws: { events: { news: { sns: 'arn:aws:sns:eu-west-1:123456789012:news' } } } }
"#,
        r#"
a.yaml:8:5: warning: spec.functions.a: in `prod`: `aws.events (topic)` of a means nothing to azure (help: send the messages to a queue that both clouds have)
"#,
    );
}

#[test]
fn kinds_and_versions_are_known() {
    check_document(
        r#"
apiVersion: verdigris.dev/v1
kind: Servce
metadata: { name: stock }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec: {}
---
- a
---
hello
---
kind: Service
"#,
        r#"
a.yaml:1:13: apiVersion: `verdigris.dev/v1` is not known (help: did you mean `verdigris.dev/v1alpha1`?)
a.yaml:2:7: kind: unknown kind `Servce` (help: did you mean `Service`?)
a.yaml:5:13: apiVersion: `apps/v1` is not known (help: write one of: verdigris.dev/v1alpha1)
a.yaml:6:7: kind: unknown kind `Deployment` (help: known kinds: Service, Environment, Gate)
a.yaml:10:1: must be a map, but is a list
a.yaml:12:1: must be a map, but is text
a.yaml:14:1: `apiVersion` is missing
a.yaml:14:1: `metadata` is missing
a.yaml:14:1: `spec` is missing
"#,
    );
}

#[test]
fn text_that_is_not_yaml() {
    check_document(
        r#"
apiVersion: verdigris.dev/v1alpha1
kind: Service
metadata: { name: stock }
spec:
  functions:
    api: { http: GET /stock/{sku} }
---
kind: Service
metadata:
  name: carts
spec:
	runtime: python3.13
---
kind: Service
metadata: { name: three }
spec: a: b
---
@x
---
metadata: { name: fine }
"#,
        r#"
a.yaml:6:29: this is not YAML: did not find expected ',' or '}', while parsing a flow mapping (help: between braces or brackets, write in quotes what holds `{`, `}`, `[`, `]`, `,` or `: `)
a.yaml:12:1: a tab may not indent YAML (help: indent with spaces)
a.yaml:16:8: this is not YAML: mapping values are not allowed in this context (help: write in quotes what holds `: `, or check the indent)
a.yaml:18:1: this is not YAML: found character that cannot start any token, while scanning for the next token (help: write in quotes what starts with `@`, a backtick or `%`)
a.yaml:20:1: `apiVersion` is missing
a.yaml:20:1: `kind` is missing
"#,
    );
}

#[test]
fn tags_and_odd_keys_and_odd_numbers() {
    check_document(
        r#"
kind: !!python/object Service
metadata: !secret { name: x }
---
? [a, b]
: c
---
kind: .nan
---
kind: *nobody
"#,
        r#"
a.yaml:2:11: the tag `!secret` has no meaning here (help: remove it)
a.yaml:4:3: a key must be text
a.yaml:7:7: this number has no use here (help: write it in quotes if it is meant as text)
a.yaml:9:7: this is not YAML: unknown anchor (help: write `&name` before the value that is meant)
"#,
    );
}

#[test]
fn an_alias_bomb_is_refused() {
    check_document(
        r#"
a: &a [x,x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]
e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]
"#,
        r#"
a.yaml:1:16: aliases or lists make this document too large (help: at most 10000 values a document)
"#,
    );
}

#[test]
fn environments_are_well_formed() {
    check_alone(
        r#"
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: prod }
spec:
  aws: { region: eu-west, role: 'arn:aws:iam::12:role/x' }
  azure: { subscription: mine, resourceGroup: 'a b', location: West Europe, plan: B1, prefix: -a }
---
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: staging }
spec: {}
---
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: test }
spec: { gcp: {}, azure: { plan: EP9 } }
"#,
        r#"
a.yaml:5:18: spec.aws.region: is no region (help: such as `eu-west-1`)
a.yaml:5:33: spec.aws.role: is no ARN of a role (help: such as `arn:aws:iam::123456789012:role/functions`)
a.yaml:6:26: spec.azure.subscription: is no id of a subscription (help: such as `11111111-2222-3333-4444-555555555555`)
a.yaml:6:47: spec.azure.resourceGroup: is no name of a resource group (help: at most 90 letters, digits, `-`, `_`, `.` and parentheses, not ending with `.`)
a.yaml:6:64: spec.azure.location: is no location (help: the short form, such as `westeurope`)
a.yaml:6:83: spec.azure.plan: this plan has no slots, so no green (help: plans with slots: Y1, EP1, EP2, EP3, S1, S2, S3, P0v3, P1v2, P2v2, P3v2, P1v3, P2v3, P3v3, I1v2, I2v2)
a.yaml:6:95: spec.azure.prefix: is no prefix (help: at most 16 lower-case letters, digits and hyphens, starting and ending with a letter or digit)
a.yaml:11:1: spec: has no cloud (help: add `aws: { region, role }`, `azure: { … }` or both)
a.yaml:16:9: spec.gcp: unknown key (help: known here: aws, azure, windows, follows, params)
a.yaml:16:18: spec.azure: `subscription` is missing
a.yaml:16:18: spec.azure: `resourceGroup` is missing
a.yaml:16:18: spec.azure: `location` is missing
a.yaml:16:33: spec.azure.plan: is no known plan (help: plans with slots: Y1, EP1, EP2, EP3, S1, S2, S3, P0v3, P1v2, P2v2, P3v2, P1v3, P2v3, P3v3, I1v2, I2v2)
"#,
    );
}
