//! Addresses that pass answers on as they are made, and answers that are not made so.

use std::time::Duration;

use aws_sdk_lambda::types::InvokeMode;
use tokio::time::timeout;

use super::{Cloud, Package, echo, options, told};

async fn address(cloud: &Cloud, package: &Package) -> String {
    cloud.create("stock", package).await;
    let version = cloud.publish("stock").await;
    cloud.alias("stock", "blue", &version).await;
    let mode = InvokeMode::ResponseStream;
    cloud.address_by("stock", "blue", mode).await
}

/// As the real one does: an answer that is no stream is nobody's head and body.
#[tokio::test]
async fn an_answer_in_one_piece_is_passed_on_as_it_is() {
    let cloud = Cloud::start(options()).await;
    let code = "def handler(event, context):\n    return {'statusCode': 404, 'body': 'no'}\n";
    let url = address(&cloud, &Package::python(code)).await;
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown, serde_json::json!({"statusCode": 404, "body": "no"}));
}

#[tokio::test]
async fn a_stream_without_a_head_is_a_body() {
    let cloud = Cloud::start(options()).await;
    let code = r"
export const handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.setContentType('text/plain');
  stream.write('as ');
  stream.end('it is');
});
";
    let url = address(&cloud, &Package::node(code)).await;
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain");
    assert_eq!(answer.text().await.unwrap(), "as it is");
}

/// Nobody is left to say how it ended: the client must not take it for whole.
#[tokio::test]
async fn a_process_that_dies_in_the_middle_cuts_the_connection() {
    let cloud = Cloud::start(options()).await;
    let code = r"
export const handler = awslambda.streamifyResponse(async (event, stream) => {
  const out = awslambda.HttpResponseStream.from(stream, { statusCode: 200 });
  out.write('first', () => process.kill(process.pid, 'SIGKILL'));
  await new Promise(() => setInterval(() => {}, 1000));
});
";
    let url = address(&cloud, &Package::node(code)).await;
    let mut answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    let rest = timeout(Duration::from_secs(30), answer.chunk()).await;
    assert!(rest.expect("the connection stays").is_err());
    cloud.log_with("stock", "Runtime.ExitError").await;
}

/// Lambda takes it for an answer without anything in it. Our adapters answer 500 before it comes to that.
#[tokio::test]
async fn a_handler_that_fails_before_it_says_anything_answers_nothing() {
    let cloud = Cloud::start(options()).await;
    let code = "export const handler = awslambda.streamifyResponse(async () => { throw new Error('as asked'); });\n";
    let url = address(&cloud, &Package::node(code)).await;
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "");
    cloud.log_with("stock", "Error Type: Error").await;
}

#[tokio::test]
async fn an_address_is_buffered_or_streams_and_nothing_else() {
    let cloud = Cloud::start(options()).await;
    cloud.create("stock", &echo("hello")).await;
    let request = cloud.client.create_function_url_config();
    let request = request.function_name("stock").auth_type("NONE".into());
    let refused = request.invoke_mode("SOMETIMES".into()).send().await;
    let refused = told(refused);
    assert!(refused.contains("[BUFFERED, RESPONSE_STREAM]"), "{refused}");
}
