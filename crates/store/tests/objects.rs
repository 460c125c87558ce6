//! Objects in a folder and in a bucket: the same promises.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest, Sha256};
use std::io;
use std::time::Duration;
use vitrine_model::{Secret, SessionId};
use vitrine_store::{Bucket, ObjectError, ObjectKey, Objects, ObjectsLocation, Presented};
use vitrine_testkit::s3::{ACCESS_KEY, BUCKET, REGION, S3, SECRET_KEY};

/// More than two parts, and not a whole number of them.
const LARGE: usize = 20 * 1024 * 1024 + 7;

fn key(seed: u8) -> ObjectKey {
    let entropy = move |buffer: &mut [u8]| buffer.iter_mut().zip(seed..).for_each(|(byte, next)| *byte = next);
    ObjectKey::new(&SessionId::new(1, &entropy), 3, &entropy)
}

fn content(size: usize) -> Bytes {
    (0..size).map(|at| (at / 7) as u8).collect()
}

/// The bytes in pieces of no regular size.
fn pieces(bytes: &Bytes) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send + Unpin + use<> {
    let pieces: Vec<_> = bytes.chunks(777_777).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

async fn whole(objects: &Objects, key: &ObjectKey, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let pieces: Vec<Bytes> = objects.get(key, range).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

async fn keeps_its_promises(objects: &Objects) {
    for (seed, size) in [(1, 0), (2, 1), (3, 8 * 1024 * 1024), (4, LARGE)] {
        let (key, bytes) = (key(seed), content(size));
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        let announced = size as u64;
        let wrong = objects.put(&key, pieces(&bytes), announced + 1, &sha256).await;
        assert!(matches!(wrong, Err(ObjectError::Size(_))), "{wrong:?}");
        if size > 0 {
            let wrong = objects.put(&key, pieces(&bytes), announced - 1, &sha256).await;
            assert!(matches!(wrong, Err(ObjectError::Size(_))), "{wrong:?}");
        }
        let wrong = objects.put(&key, pieces(&bytes), announced, &[0; 32]).await;
        assert!(matches!(wrong, Err(ObjectError::Hash)), "{wrong:?}");
        let broken = pieces(&bytes).take(size / 777_777).chain(stream::iter([Err(io::Error::other("gone"))]));
        let wrong = objects.put(&key, broken, announced, &sha256).await;
        assert!(matches!(wrong, Err(ObjectError::Body(_))), "{wrong:?}");
        assert!(matches!(objects.get(&key, None).await.err(), Some(ObjectError::Missing)), "nothing was kept");
        objects.put(&key, pieces(&bytes), announced, &sha256).await.unwrap();
        assert!(whole(objects, &key, None).await == bytes, "{size}");
        if size > 10 {
            assert_eq!(whole(objects, &key, Some(3..10)).await, bytes[3..10]);
            assert_eq!(whole(objects, &key, Some(announced - 1..announced)).await, bytes[size - 1..]);
        }
        for _ in 0..2 {
            objects.delete(&key).await.unwrap();
        }
        assert!(matches!(objects.get(&key, None).await.err(), Some(ObjectError::Missing)));
    }
}

fn bucket(s3: &S3) -> Bucket {
    Bucket {
        endpoint: Some(s3.endpoint.clone()),
        name: BUCKET.to_owned(),
        region: REGION.to_owned(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(SECRET_KEY),
        path_style: true,
        allow_http: true,
    }
}

#[tokio::test]
async fn a_folder_keeps_its_promises_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Objects::open(ObjectsLocation::Folder(folder.path().join("objects"))).unwrap();
    keeps_its_promises(&objects).await;
    let left: Vec<_> = std::fs::read_dir(folder.path().join("objects")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let presented = Presented { content_type: "image/png", content_disposition: "inline" };
    assert_eq!(objects.presigned(&key(1), Duration::from_secs(9), presented).await.unwrap(), None);
}

#[tokio::test]
async fn a_bucket_keeps_its_promises_and_nothing_else() {
    let s3 = S3::start().await.unwrap();
    let objects = Objects::open(ObjectsLocation::S3(bucket(&s3))).unwrap();
    keeps_its_promises(&objects).await;
    assert_eq!((s3.keys(), s3.open_uploads()), (Vec::new(), 0));
    let stranger = Bucket { secret_key: Secret::new("guessed"), ..bucket(&s3) };
    assert!(!format!("{stranger:?}").contains("guessed"));
    let stranger = Objects::open(ObjectsLocation::S3(stranger)).unwrap();
    assert!(stranger.get(&key(1), None).await.is_err_and(|error| !matches!(error, ObjectError::Missing)));
}

#[tokio::test]
async fn a_presigned_url_opens_one_object_for_its_time() {
    let s3 = S3::start().await.unwrap();
    let objects = Objects::open(ObjectsLocation::S3(bucket(&s3))).unwrap();
    let bytes = content(1_000);
    for seed in [1, 9] {
        objects.put(&key(seed), pieces(&bytes), 1_000, &Sha256::digest(&bytes).into()).await.unwrap();
    }
    let disposition = "attachment; filename=\"a b.pdf\"; filename*=UTF-8''a%20b.pdf";
    let presented = Presented { content_type: "application/pdf", content_disposition: disposition };
    let presigned = async |seconds| objects.presigned(&key(1), Duration::from_secs(seconds), presented).await.unwrap();
    let url = presigned(60).await.unwrap();
    let client = reqwest::Client::new();
    let get = async |url: &str| client.get(url).send().await.unwrap();
    let answer = get(&url).await;
    assert_eq!(answer.status(), 200, "{url}");
    assert_eq!(answer.headers()["content-type"], "application/pdf");
    assert_eq!(answer.headers()["content-disposition"], disposition);
    assert_eq!(answer.bytes().await.unwrap(), bytes);
    let part = client.get(&url).header("range", "bytes=5-9").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.bytes().await.unwrap()), (206, bytes.slice(5..10)));
    let other = url.replace(key(1).as_str(), key(9).as_str());
    assert_ne!(other, url);
    for wrong in [&other, &url.replace("application%2Fpdf", "text%2Fhtml"), url.split('?').next().unwrap()] {
        assert_eq!(get(wrong).await.status(), 403, "{wrong}");
    }
    let short = presigned(1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(get(&short).await.status(), 403, "its time is over");
}
