//! One call after the other of a function that is warm, from the client's request to its answer: through the endpoint, the Runtime API
//! and the process, and back.
//!
//! `VERDIGRIS_BENCH_CALLS` (2000) says how many.
#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot go on stops there and says so"
)]
#![allow(clippy::print_stdout, reason = "figures are what a bench is for")]
#![allow(clippy::disallowed_methods, reason = "sizes come from the environment")]

#[expect(dead_code, reason = "the other benches use the rest of it")]
mod kit;
#[expect(dead_code, reason = "the contract's cases use the rest of it")]
#[path = "../it/cloud_contract/release.rs"]
mod release;

use std::{sync::Arc, time::Duration};

use aws_sdk_lambda::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
    types::{FunctionCode, Runtime, State},
};
use kit::{Figure, line, millis, setting, title};
use release::{Fixture, ROLE, stock};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use verdigris::{
    clock::SystemClock,
    local::lambda::{self, LambdaOptions},
};

const CODE: &str = "def handler(event, context):\n    return event\n";

async fn make(client: &Client) {
    // Its packages go with it.
    let fixture = Fixture::new(0);
    let made = fixture.release_of_code("warm", &[stock()], CODE);
    let zip = std::fs::read(&made.package.path).unwrap();
    let code = FunctionCode::builder().zip_file(Blob::new(zip)).build();
    let asked = client.create_function().function_name("warm").role(ROLE);
    let asked = asked.runtime(Runtime::Python312);
    let asked = asked.handler("verdigris_shim.handler").code(code);
    asked.send().await.unwrap();
    while !is_active(client).await {
        sleep(Duration::from_millis(20)).await;
    }
}

async fn is_active(client: &Client) -> bool {
    let told = client.get_function().function_name("warm").send().await;
    told.unwrap().configuration.unwrap().state == Some(State::Active)
}

#[tokio::main]
async fn main() {
    let stop = CancellationToken::new();
    let options = LambdaOptions {
        account: "123456789012".to_owned(),
        ..LambdaOptions::default()
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let endpoint = lambda::start(address, options, Arc::new(SystemClock), stop.clone());
    let endpoint = endpoint.await.unwrap();
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint.url.as_str().trim_end_matches('/'))
        .credentials_provider(Credentials::new("bench", "bench", None, None, "bench"));
    make(&Client::from_conf(config.build())).await;
    // Plain HTTP, so that the figure is the endpoint's and not the vendor's client's.
    let path = "2015-03-31/functions/warm/invocations";
    let url = endpoint.url.join(path).unwrap();
    let http = reqwest::Client::builder().tcp_nodelay(true);
    let http = http.build().unwrap();
    title("a warm Python function is called");
    let mut figure = Figure::new("a call");
    for call in 0..setting("VERDIGRIS_BENCH_CALLS", 2_000) + 1 {
        let asked = http.post(url.clone()).body(r#"{"n": 1}"#);
        let start = Instant::now();
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), r#"{"n": 1}"#);
        // The first one starts the process.
        match call {
            0 => line("the first call, ms", &millis(start.elapsed())),
            _ => figure.add(start.elapsed()),
        }
    }
    figure.print();
    line("the 99th of 100, ms", &millis(figure.share(99)));
    stop.cancel();
    endpoint.finished().await;
}
