//! An S3 in memory: one bucket, path style, on loopback. It stores, serves ranges, takes uploads in parts, lists and deletes,
//! and lets nobody in whose signature (AWS Signature Version 4, in the header or in the URL) does not fit.

use anyhow::{Result, anyhow, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, Mac};
use http::header::{CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, StatusCode, Uri};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The bucket's name, region and only account.
pub const BUCKET: &str = "vitrine";
pub const REGION: &str = "eu-central-1";
pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// Seconds that a request in its header may be old.
const SKEW_SECONDS: i64 = 900;
/// Whenever anything was made.
const MADE_AT: &str = "Thu, 26 Feb 2026 04:05:05 GMT";

/// A running S3; dropping it ends it.
pub struct S3 {
    pub endpoint: String,
    bucket: Arc<Mutex<Bucket>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Bytes>,
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    next_upload: u64,
}

impl S3 {
    /// Starts it on a free port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let bucket = Arc::<Mutex<Bucket>>::default();
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(bucket.clone());
        let task = tokio::spawn(async move {
            // Ends with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { endpoint, bucket, task })
    }

    /// The keys of all objects.
    pub fn keys(&self) -> Vec<String> {
        lock(&self.bucket).objects.keys().cloned().collect()
    }

    /// Uploads in parts that were neither completed nor taken back.
    pub fn open_uploads(&self) -> usize {
        lock(&self.bucket).uploads.len()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request, taken apart.
struct Asked {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

async fn answer(
    State(bucket): State<Arc<Mutex<Bucket>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = query.map(|(name, value)| (decoded(name), decoded(value))).collect();
    let asked = Asked { method, path: uri.path().to_owned(), query, headers, body };
    if let Err(error) = check(&asked) {
        return refused(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", &error.to_string());
    }
    let Some(key) = asked.path.strip_prefix(&format!("/{BUCKET}")).map(|key| decoded(key.trim_start_matches('/')))
    else {
        return refused(StatusCode::NOT_FOUND, "NoSuchBucket", &asked.path);
    };
    lock(&bucket).act(&asked, key)
}

impl Bucket {
    fn act(&mut self, asked: &Asked, key: String) -> Response {
        let upload = asked.query("uploadId").map(str::to_owned);
        match (asked.method.as_str(), upload) {
            ("GET", None) if key.is_empty() => self.list(asked.query("prefix").unwrap_or_default()),
            ("GET" | "HEAD", None) => self.read(asked, &key),
            ("PUT", None) => {
                self.objects.insert(key, asked.body.clone());
                [(ETAG, etag(&asked.body))].into_response()
            }
            ("DELETE", None) => {
                self.objects.remove(&key);
                StatusCode::NO_CONTENT.into_response()
            }
            ("POST", None) if asked.query("uploads").is_some() => {
                self.next_upload += 1;
                let id = format!("upload-{}", self.next_upload);
                self.uploads.insert(id.clone(), BTreeMap::new());
                format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>")
                    .into_response()
            }
            ("PUT", Some(id)) => {
                let number = asked.query("partNumber").and_then(|number| number.parse().ok());
                let (Some(parts), Some(number)) = (self.uploads.get_mut(&id), number) else {
                    return refused(StatusCode::NOT_FOUND, "NoSuchUpload", &id);
                };
                parts.insert(number, asked.body.clone());
                [(ETAG, etag(&asked.body))].into_response()
            }
            ("POST", Some(id)) => self.complete(asked, key, &id),
            ("DELETE", Some(id)) => {
                self.uploads.remove(&id);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented", asked.method.as_str()),
        }
    }

    fn complete(&mut self, asked: &Asked, key: String, id: &str) -> Response {
        let text = String::from_utf8_lossy(&asked.body);
        let named: Vec<u32> =
            text.split("<PartNumber>").skip(1).filter_map(|rest| rest.split('<').next()?.parse().ok()).collect();
        match self.uploads.remove(id) {
            Some(parts) if parts.keys().copied().eq(named) => {
                let whole: Vec<u8> = parts.values().flatten().copied().collect();
                let tag = etag(&whole);
                self.objects.insert(key, whole.into());
                format!("<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>")
                    .into_response()
            }
            Some(_) => refused(StatusCode::BAD_REQUEST, "InvalidPart", id),
            None => refused(StatusCode::NOT_FOUND, "NoSuchUpload", id),
        }
    }

    fn read(&self, asked: &Asked, key: &str) -> Response {
        let Some(object) = self.objects.get(key) else {
            return refused(StatusCode::NOT_FOUND, "NoSuchKey", key);
        };
        let mut headers = HeaderMap::new();
        let given = [(CONTENT_TYPE, "response-content-type"), (CONTENT_DISPOSITION, "response-content-disposition")];
        for (name, parameter) in given {
            if let Some(value) = asked.query(parameter).and_then(|value| value.parse().ok()) {
                headers.insert(name, value);
            }
        }
        let stamps = [(ETAG, etag(object)), (LAST_MODIFIED, MADE_AT.to_owned())];
        let Some((first, last)) =
            asked.header(RANGE.as_str()).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
        else {
            return (stamps, headers, object.clone()).into_response();
        };
        let size = object.len();
        let (first, end) = match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first, (last + 1).min(size)),
            (Ok(first), Err(_)) => (first, size),
            (Err(_), Ok(count)) => (size.saturating_sub(count), size),
            _ => (size, size),
        };
        if first >= end {
            return refused(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", key);
        }
        let range = [(CONTENT_RANGE, format!("bytes {first}-{}/{size}", end - 1))];
        (StatusCode::PARTIAL_CONTENT, stamps, range, headers, object.slice(first..end)).into_response()
    }

    fn list(&self, prefix: &str) -> Response {
        let mut text = "<ListBucketResult><IsTruncated>false</IsTruncated>".to_owned();
        for (key, object) in self.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
            let _ = write!(
                text,
                "<Contents><Key>{key}</Key><LastModified>2026-02-26T04:05:05.000Z</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
                etag(object),
                object.len()
            );
        }
        (text + "</ListBucketResult>").into_response()
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &hex(&Sha256::digest(bytes))[..32])
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    (status, format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>")).into_response()
}

/// Where a request's signature stands, and what it covers.
struct Signature {
    date: String,
    scope: String,
    signed_headers: String,
    signature: String,
    payload: String,
    good_seconds: i64,
}

fn check(asked: &Asked) -> Result<()> {
    let signature = if asked.query("X-Amz-Signature").is_some() { of_url(asked)? } else { of_header(asked)? };
    let day = signature.date.get(..8).unwrap_or_default();
    ensure!(
        signature.scope == format!("{ACCESS_KEY}/{day}/{REGION}/s3/aws4_request"),
        "another account, day or region"
    );
    let age = now() - seconds(&signature.date)?;
    ensure!((-SKEW_SECONDS..=signature.good_seconds).contains(&age), "it was signed {age} s ago");
    let mut headers = String::new();
    for name in signature.signed_headers.split(';') {
        let value = asked.header(name).ok_or_else(|| anyhow!("the header {name} was signed and is missing"))?;
        writeln!(headers, "{name}:{}", value.trim())?;
    }
    let mut query: Vec<_> = asked.query.iter().filter(|(name, _)| name != "X-Amz-Signature").collect();
    let strict = |text: &str| {
        text.bytes().fold(String::new(), |text, byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text + &char::from(byte).to_string(),
            other => text + &format!("%{other:02X}"),
        })
    };
    query.sort_by_key(|(name, value)| (strict(name), strict(value)));
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{}={}", strict(name), strict(value))).collect();
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        asked.method,
        asked.path,
        query.join("&"),
        signature.signed_headers,
        signature.payload
    );
    let scope = signature.scope.split_once('/').map_or("", |(_, scope)| scope);
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", signature.date, hex(&Sha256::digest(&canonical)));
    let parts = [day, REGION, "s3", "aws4_request", &text];
    let signed = parts.iter().fold(format!("AWS4{SECRET_KEY}").into_bytes(), |key, part| hmac(&key, part));
    ensure!(hex(&signed) == signature.signature, "the signature does not fit\n{canonical}");
    Ok(())
}

fn of_url(asked: &Asked) -> Result<Signature> {
    let value = |name: &str| asked.query(name).map(str::to_owned).ok_or_else(|| anyhow!("{name} is missing"));
    Ok(Signature {
        date: value("X-Amz-Date")?,
        scope: value("X-Amz-Credential")?,
        signed_headers: value("X-Amz-SignedHeaders")?,
        signature: value("X-Amz-Signature")?,
        payload: "UNSIGNED-PAYLOAD".to_owned(),
        good_seconds: value("X-Amz-Expires")?.parse()?,
    })
}

fn of_header(asked: &Asked) -> Result<Signature> {
    let text = asked.header("authorization").and_then(|text| text.strip_prefix("AWS4-HMAC-SHA256 "));
    let text = text.ok_or_else(|| anyhow!("it is not signed"))?;
    let part = |name: &str| {
        let found = text.split(',').find_map(|part| part.trim().strip_prefix(name));
        found.map(str::to_owned).ok_or_else(|| anyhow!("{name} is missing"))
    };
    let header = |name: &str| asked.header(name).map(str::to_owned).ok_or_else(|| anyhow!("{name} is missing"));
    let payload = header("x-amz-content-sha256")?;
    ensure!(
        payload == "UNSIGNED-PAYLOAD" || payload == hex(&Sha256::digest(&asked.body)),
        "the body is not the signed one"
    );
    Ok(Signature {
        date: header("x-amz-date")?,
        scope: part("Credential=")?,
        signed_headers: part("SignedHeaders=")?,
        signature: part("Signature=")?,
        payload,
        good_seconds: SKEW_SECONDS,
    })
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes a key of any length; the error type exists for other MACs.
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[expect(clippy::disallowed_methods, reason = "clients sign with the machine's clock")]
fn now() -> i64 {
    let passed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(passed.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds since the epoch of `20260226T040505Z`.
fn seconds(date: &str) -> Result<i64> {
    let date = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)?;
    Ok(date.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_second())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        decoded.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
