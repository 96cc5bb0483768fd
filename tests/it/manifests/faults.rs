use super::{read, told};

const PROD: &str = "
apiVersion: verdigris.dev/v1alpha1
kind: Environment
metadata: { name: prod }
spec:
  aws: { region: eu-west-1, role: 'arn:aws:iam::123456789012:role/functions' }
  azure:
    subscription: 11111111-2222-3333-4444-555555555555
    resourceGroup: shop
    location: westeurope
    plan: EP1
    prefix: shop
";

fn service(spec: &str) -> String {
    format!(
        "apiVersion: verdigris.dev/v1alpha1\nkind: Service\nmetadata: {{ name: stock }}\nspec:\n{spec}"
    )
}
#[test]
fn probe() {
    for spec in [
        "  runtime: python3.13
  source: services/stock
  functions:
    api: { handler: app:app, http: GET /stock/{sku} }
",
        "  runtme: python3.13
  source: ../stock
  functions:
    api: { handler: app, htp: GET /stock/{sku}, timeout: 30, memory: 64 }
    Api_Two: { handler: app:app, http: /x, memory: 64 }
  env: { PORT: 80, A: [1], AWS_X: x, 1x: y }
  rollout:
    gates:
      - http: { path: stock, status: 2000, latency: -5s, expect: { json: { a.b: 1 } } }
      - load: { rate: 50/s }
      - command: ''
      - gate: smoke
      - {}
    bake: 10
    across: [aws, aws]
",
    ] {
        let text = service(spec);
        println!(
            "{}",
            told(&read(&[("prod.yaml", PROD), ("stock.yaml", &text)]))
        );
    }
}
