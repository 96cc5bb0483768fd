//! Objects of S3: listed with their bucket, kept on the disk by their content.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use jiff::fmt::rfc2822::DateTimePrinter;
use roxmltree::Document;
use serde::{Deserialize, Serialize};

use super::{
    super::Lambda,
    buckets::{Asked, Buckets, changed, open, there, xml},
    forms::{Refusal, element},
};
use crate::name::{CodeDigest, Timestamp};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// S3's own page.
const PAGE: usize = 1000;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Object {
    digest: CodeDigest,
    /// The MD5 of the content, which clients compare.
    etag: String,
    size: usize,
    modified: Timestamp,
}

/// The folder of contents, each by its digest.
#[derive(Clone, Debug)]
pub(in crate::local::lambda) struct Contents {
    folder: PathBuf,
}

impl Contents {
    pub(in crate::local::lambda) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    fn place(&self, digest: CodeDigest) -> PathBuf {
        self.folder.join(digest.hex())
    }

    fn keep(&self, content: &[u8]) -> io::Result<CodeDigest> {
        let digest = CodeDigest::of(content);
        let place = self.place(digest);
        if !place.is_file() {
            let fresh = tempfile::NamedTempFile::new_in(&self.folder)?;
            fs::write(fresh.path(), content)?;
            fresh.persist(place).map_err(|fault| fault.error)?;
        }
        Ok(digest)
    }

    /// Removes contents that no bucket holds any more.
    fn forget(&self, gone: &BTreeSet<CodeDigest>, buckets: &Buckets) {
        let held = buckets.0.values().flat_map(|it| it.objects.values());
        let held: BTreeSet<_> = held.map(|object| object.digest).collect();
        for digest in gone.difference(&held) {
            // What stays is found again when the same content is kept.
            drop(fs::remove_file(self.place(*digest)));
        }
    }
}

pub(super) fn unkept(fault: &io::Error) -> Refusal {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    (status, "InternalError", fault.to_string())
}

pub(super) fn put(
    lambda: &Lambda,
    bucket: &str,
    key: &str,
    content: &[u8],
) -> Result<Response, Refusal> {
    let etag = md5(content);
    changed(lambda, |buckets| {
        let digest = lambda.contents.keep(content);
        let object = Object {
            digest: digest.map_err(|fault| unkept(&fault))?,
            etag: etag.clone(),
            size: content.len(),
            modified: lambda.clock.now(),
        };
        open(buckets, bucket).objects.insert(key.to_owned(), object);
        Ok(())
    })?;
    Ok(tagged(Response::new(Body::empty()), &etag))
}

fn md5(content: &[u8]) -> String {
    use md5::{Digest as _, Md5};

    let digest = Md5::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tagged(mut response: Response, etag: &str) -> Response {
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// The content of an object; also what functions and stacks are made of.
pub(in crate::local::lambda) fn content(
    lambda: &Lambda,
    bucket: &str,
    key: &str,
) -> Result<Bytes, Refusal> {
    let object = found(lambda, bucket, key)?;
    let content = fs::read(lambda.contents.place(object.digest));
    content.map(Bytes::from).map_err(|fault| unkept(&fault))
}

fn found(lambda: &Lambda, bucket: &str, key: &str) -> Result<Object, Refusal> {
    let buckets = lambda.around.buckets();
    let missing = || {
        let message = "The specified key does not exist.".to_owned();
        (StatusCode::NOT_FOUND, "NoSuchKey", message)
    };
    let object = there(&buckets, bucket)?.objects.get(key);
    object.cloned().ok_or_else(missing)
}

pub(super) fn get(lambda: &Lambda, bucket: &str, key: &str) -> Result<Response, Refusal> {
    let object = found(lambda, bucket, key)?;
    let content = content(lambda, bucket, key)?;
    let mut response = tagged(Response::new(Body::from(content)), &object.etag);
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("binary/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    let modified = http_date(object.modified);
    if let Some(modified) = modified.and_then(|it| HeaderValue::from_str(&it).ok()) {
        headers.insert(header::LAST_MODIFIED, modified);
    }
    Ok(response)
}

fn http_date(at: Timestamp) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
}

/// Removes objects; those that are not there are gone, too.
pub(super) fn delete(lambda: &Lambda, bucket: &str, keys: &[String]) -> Result<(), Refusal> {
    changed(lambda, |buckets| {
        there(buckets, bucket)?;
        let objects = &mut open(buckets, bucket).objects;
        let gone = keys.iter().filter_map(|key| objects.remove(key));
        let gone = gone.map(|object| object.digest).collect();
        lambda.contents.forget(&gone, buckets);
        Ok(())
    })
}

pub(super) fn delete_many(lambda: &Lambda, bucket: &str, body: &[u8]) -> Result<Response, Refusal> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let Ok(document) = Document::parse(text) else {
        let message = "The XML you provided was not well-formed".to_owned();
        return Err((StatusCode::BAD_REQUEST, "MalformedXML", message));
    };
    let keys = document.descendants();
    let keys = keys.filter(|it| it.tag_name().name() == "Key");
    let keys: Vec<_> = keys.filter_map(|it| Some(it.text()?.to_owned())).collect();
    delete(lambda, bucket, &keys)?;
    let told = keys
        .iter()
        .map(|key| format!("<Deleted>{}</Deleted>", element("Key", key)));
    let told: String = told.collect();
    Ok(xml(format!(
        "<DeleteResult xmlns=\"{NAMESPACE}\">{told}</DeleteResult>"
    )))
}

/// Keys in their order, page by page; the token is the last key of a page.
pub(super) fn list(lambda: &Lambda, asked: &Asked) -> Result<Response, Refusal> {
    let asked_for = |name: &str| asked.query.get(name).map_or("", String::as_str);
    if !asked_for("delimiter").is_empty() {
        let message = "this endpoint lists all keys below a prefix, and knows no delimiter";
        return Err((
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            message.to_owned(),
        ));
    }
    let prefix = asked_for("prefix");
    let after = asked_for("continuation-token").max(asked_for("start-after"));
    let most = asked_for("max-keys").parse().unwrap_or(PAGE).min(PAGE);
    let buckets = lambda.around.buckets();
    let objects = &there(&buckets, &asked.bucket)?.objects;
    let mut rest = objects
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && (after.is_empty() || key.as_str() > after));
    let page: Vec<_> = rest.by_ref().take(most).collect();
    let next = rest.next().and(page.last()).map(|(key, _)| key.as_str());
    let shown: String = page
        .iter()
        .map(|(key, object)| shown(key, object))
        .collect();
    let mut parts = vec![
        element("Name", &asked.bucket),
        element("Prefix", prefix),
        element("KeyCount", &page.len().to_string()),
        element("MaxKeys", &most.to_string()),
        element("IsTruncated", if next.is_some() { "true" } else { "false" }),
        shown,
    ];
    parts.extend(next.map(|key| element("NextContinuationToken", key)));
    let told = parts.concat();
    Ok(xml(format!(
        "<ListBucketResult xmlns=\"{NAMESPACE}\">{told}</ListBucketResult>"
    )))
}

fn shown(key: &str, object: &Object) -> String {
    let Object {
        digest: _,
        etag,
        size,
        modified,
    } = object;
    let parts = [
        element("Key", key),
        element("LastModified", &modified.to_string()),
        element("ETag", &format!("\"{etag}\"")),
        element("Size", &size.to_string()),
        element("StorageClass", "STANDARD"),
    ];
    format!("<Contents>{}</Contents>", parts.concat())
}

/// What a body says that was sent in chunks, each behind a line with its size and signature. A broken one ends there.
pub(super) fn unchunked(body: &[u8]) -> Vec<u8> {
    let (mut rest, mut content) = (body, Vec::new());
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).unwrap_or_default();
        let behind = rest.get(end + 2..).unwrap_or_default();
        let Some(chunk) = behind.get(..size).filter(|it| !it.is_empty()) else {
            break;
        };
        content.extend_from_slice(chunk);
        rest = behind.get(size + 2..).unwrap_or_default();
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_chunks_is_put_together() {
        let signed = b"3;chunk-signature=aa\r\nabc\r\n2;chunk-signature=bb\r\nde\r\n0;chunk-signature=cc\r\nx-amz-checksum-crc32:AA==\r\n\r\n";
        assert_eq!(unchunked(signed), b"abcde");
        for broken in [&b"ff\r\nabc"[..], b"zz\r\nabc", b"", b"\r\n", b"3\r\nab"] {
            assert_eq!(unchunked(broken), b"", "{broken:?}");
        }
        assert_eq!(unchunked(b"ffffffffffffffff\r\nabc"), b"");
    }
}
