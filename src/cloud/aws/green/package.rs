//! The code of a function, on its way to Lambda: in the request, through a bucket where it is too large for that, or by an image's digest.

use reqwest::Method;

use super::super::{
    AwsCloud,
    lambda::{Asking, Code, Said, Signed, has_run_out, run_out},
};
use crate::{
    cloud::{CloudError, Package},
    name::CloudName,
};

/// The largest package that Lambda takes in a request.
const ZIP_MAX: u64 = 50 * 1024 * 1024;
/// And from a bucket.
const OBJECT_MAX: u64 = 250 * 1024 * 1024;

impl AwsCloud {
    /// One package after the other where they are large: each is in memory as a whole.
    pub(in crate::cloud::aws) async fn code(
        &self,
        package: &Package,
        image: Option<&str>,
    ) -> Result<Code, CloudError> {
        if let Some(image) = image {
            return Ok(Code::Image(image.to_owned()));
        }
        if package.size <= ZIP_MAX {
            return read(package).await.map(Code::Zip);
        }
        let Some(bucket) = self.options.bucket.as_deref() else {
            return Err(refused(
                package,
                format!(
                    "{} bytes are more than the {ZIP_MAX} that Lambda takes in a request: make the package smaller, \
                     or name a bucket of the same region as `clouds.aws.bucket` in the daemon's configuration",
                    package.size
                ),
            ));
        };
        if package.size > OBJECT_MAX {
            let message = format!(
                "{} bytes are more than the {OBJECT_MAX} that Lambda takes: make the package smaller, or bring a container image",
                package.size
            );
            return Err(refused(package, message));
        }
        let _alone = self.uploads.lock().await;
        let object = Object {
            bucket,
            key: format!("verdigris/{}.zip", package.code.hex()),
        };
        let signed = self.lambda.signed();
        if !is_there(&signed, &object).await? {
            put(&signed, &object, read(package).await?).await?;
        }
        let Object { bucket, key } = object;
        Ok(Code::Object {
            bucket: bucket.to_owned(),
            key,
        })
    }
}

/// Named by its content, so that one that is there is the right one.
struct Object<'a> {
    bucket: &'a str,
    key: String,
}

async fn is_there(signed: &Signed, object: &Object<'_>) -> Result<bool, CloudError> {
    let Said { status, text: _ } = signed.ask(asking(object, Method::HEAD, Vec::new())).await?;
    match status {
        200 => Ok(true),
        404 => Ok(false),
        // Without permission to list, S3 says 403 where there is nothing; the upload will tell.
        403 => Ok(false),
        status => Err(sorted(object, status, "")),
    }
}

async fn put(signed: &Signed, object: &Object<'_>, bytes: Vec<u8>) -> Result<(), CloudError> {
    let Said { status, text } = signed.ask(asking(object, Method::PUT, bytes)).await?;
    match status {
        200 => Ok(()),
        status => Err(sorted(object, status, &text)),
    }
}

fn asking<'a>(object: &'a Object<'_>, method: Method, bytes: Vec<u8>) -> Asking<'a> {
    Asking {
        service: "s3",
        operation: if method == Method::PUT {
            "PutObject"
        } else {
            "HeadObject"
        },
        resource: &object.key,
        method,
        path: format!("/{}/{}", object.bucket, object.key),
        headers: Vec::new(),
        body: bytes.into(),
    }
}

fn sorted(object: &Object<'_>, status: u16, text: &str) -> CloudError {
    let cloud = CloudName::Aws;
    let Object { bucket, key } = object;
    let operation = format!("object `{key}` in bucket `{bucket}`");
    // The code is what people look for; the rest of the document is ids.
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    let message = format!("{status} {}", code.map_or("", |(code, _)| code));
    match status {
        _ if code.is_some_and(|(code, _)| has_run_out(code)) => run_out(key, &message),
        401 | 403 | 404 => CloudError::Denied {
            cloud,
            operation,
            message: format!(
                "{message}; name a bucket that is there and that the daemon may read and write (`deploy/aws-policy.json` has it)"
            ),
        },
        429 | 503 => CloudError::Throttled {
            cloud,
            retry_after: std::time::Duration::from_secs(1),
        },
        500.. => CloudError::Unreachable {
            cloud,
            operation,
            message,
        },
        _ => CloudError::Invalid {
            cloud,
            operation,
            message,
        },
    }
}

fn refused(package: &Package, message: String) -> CloudError {
    CloudError::Invalid {
        cloud: CloudName::Aws,
        operation: format!("package {}", package.code.short()),
        message,
    }
}

async fn read(package: &Package) -> Result<Vec<u8>, CloudError> {
    let unread = |fault| {
        refused(
            package,
            format!("cannot read it from this machine's disk: {fault}"),
        )
    };
    tokio::fs::read(&package.path).await.map_err(unread)
}
