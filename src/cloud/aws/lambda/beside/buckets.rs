//! Operations on what buckets of S3 tell others, one function each.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html>

use std::time::Duration;

use reqwest::Method;

use super::super::signed::{Asking, Said, Signed, json::Refusal};
use crate::cloud::CloudError;

/// How long a document may be on its way to S3: one that came later would undo what others did meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// S3.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Buckets(pub(in crate::cloud::aws::lambda) Signed);

impl Buckets {
    /// As XML. None where there is no such bucket.
    pub(in crate::cloud::aws) async fn notifications(
        &self,
        bucket: &str,
    ) -> Result<Option<String>, CloudError> {
        self.0.turn("s3").await;
        self.read(bucket).await
    }

    /// Reads what a bucket tells, and writes at once what becomes of it, if anything; gives what was there.
    ///
    /// S3 has no call for a part, and none that is refused where somebody else was faster. So nothing is waited for between reading and
    /// writing, and what was sent and not answered soon does not arrive later.
    ///
    /// # Errors
    ///
    /// As `change`; else as the two calls.
    pub(in crate::cloud::aws) async fn exchange<T>(
        &self,
        bucket: &str,
        change: impl FnOnce(Option<String>) -> Result<(T, Option<String>), CloudError>,
    ) -> Result<T, CloudError> {
        const OPERATION: &str = "PutBucketNotificationConfiguration";
        self.0.turn("s3").await;
        self.0.turn("s3").await;
        let (was, all) = change(self.read(bucket).await?)?;
        let Some(all) = all else { return Ok(was) };
        let asking = asking(OPERATION, Method::PUT, bucket, all);
        let Said { status, text } = self.0.within(PATIENCE).ask_at_once(asking).await?;
        match status {
            200 => Ok(was),
            status => Err(Refusal::in_xml(status, &text).sorted(OPERATION, bucket)),
        }
    }

    async fn read(&self, bucket: &str) -> Result<Option<String>, CloudError> {
        const OPERATION: &str = "GetBucketNotificationConfiguration";
        let asking = asking(OPERATION, Method::GET, bucket, String::new());
        let Said { status, text } = self.0.ask_at_once(asking).await?;
        if status == 200 {
            return Ok(Some(text));
        }
        let refusal = Refusal::in_xml(status, &text);
        match refusal.kind.as_str() {
            "NoSuchBucket" => Ok(None),
            _ => Err(refusal.sorted(OPERATION, bucket)),
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
