//! Operations on what buckets of S3 tell others, one function each.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html>

use reqwest::Method;

use super::{
    json::Refusal,
    signed::{Asking, Said, Signed},
};
use crate::cloud::CloudError;

/// S3.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Buckets(pub(super) Signed);

impl Buckets {
    /// As XML. None where there is no such bucket.
    pub(in crate::cloud::aws) async fn notifications(
        &self,
        bucket: &str,
    ) -> Result<Option<String>, CloudError> {
        const OPERATION: &str = "GetBucketNotificationConfiguration";
        let asking = asking(OPERATION, Method::GET, bucket, String::new());
        let Said { status, text } = self.0.ask(asking).await?;
        if status == 200 {
            return Ok(Some(text));
        }
        let refusal = Refusal::in_xml(status, &text);
        match refusal.kind.as_str() {
            "NoSuchBucket" => Ok(None),
            _ => Err(refusal.sorted(OPERATION, bucket)),
        }
    }

    /// All of it at once: S3 has no call for a part, and none that is refused where somebody else was faster.
    pub(in crate::cloud::aws) async fn notify(
        &self,
        bucket: &str,
        all: String,
    ) -> Result<(), CloudError> {
        const OPERATION: &str = "PutBucketNotificationConfiguration";
        let asking = asking(OPERATION, Method::PUT, bucket, all);
        let Said { status, text } = self.0.ask(asking).await?;
        match status {
            200 => Ok(()),
            status => Err(Refusal::in_xml(status, &text).sorted(OPERATION, bucket)),
        }
    }
}

fn asking<'a>(operation: &'a str, method: Method, bucket: &'a str, body: String) -> Asking<'a> {
    Asking {
        service: "s3",
        operation,
        resource: bucket,
        method,
        path: format!("/{bucket}?notification"),
        headers: Vec::new(),
        body: body.into(),
    }
}
