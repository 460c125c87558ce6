//! Bytes that came out of a hostile page, on their way to a client: with ranges, and such that no browser takes them for a
//! page of ours.

use crate::percent;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{BoxStream, unfold};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use std::io;
use std::ops::Range;
use std::time::Duration;
use vitrine_model::Error;

/// Types that no browser runs anything of. Everything else is bytes.
const HARMLESS: [&str; 15] = [
    "application/gzip",
    "application/json",
    "application/octet-stream",
    "application/pdf",
    "application/x-tar",
    "application/zip",
    "audio/mpeg",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/csv",
    "text/plain",
    "video/mp4",
    "video/webm",
];
/// A browser that opens it all the same gives it no origin and loads nothing for it.
const CONTAINED: &str = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'none'";

/// What is delivered.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    pub name: &'a str,
    pub content_type: &'a str,
    pub size: u64,
    /// What stays the same for as long as the bytes do.
    pub etag: Option<&'a str>,
    /// A browser may show it; otherwise it saves it.
    pub inline: bool,
}

/// The type under which it is delivered.
pub fn harmless(content_type: &str) -> &'static str {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    HARMLESS.into_iter().find(|known| *known == essence).unwrap_or("application/octet-stream")
}

/// How it is to be called and whether it may be shown (RFC 6266).
pub fn disposition(name: &str, inline: bool) -> String {
    let plain = |character: char| match character {
        '"' | '\\' | '%' => '_',
        other if other.is_ascii_graphic() || other == ' ' => other,
        _ => '_',
    };
    let how = if inline { "inline" } else { "attachment" };
    let ascii: String = name.chars().map(plain).collect();
    format!("{how}; filename=\"{ascii}\"; filename*=UTF-8''{}", percent::encoded(name, b""))
}

/// The part that a request asks for: `None` for all of it. Fails when there is no such part.
fn part(headers: &HeaderMap, content: &Content) -> Result<Option<Range<u64>>, ()> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(IF_RANGE).is_some_and(|known| Some(known) != content.etag.map(quoted).as_deref()) {
        return Ok(None);
    }
    // Several parts at once, and units that are not bytes, may be answered whole.
    let Some((first, last)) = text(RANGE).and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return Ok(None);
    };
    let size = content.size;
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
        (Err(_), Ok(count)) if first.trim().is_empty() => size.saturating_sub(count)..size,
        _ => return Ok(None),
    };
    if range.start < range.end { Ok(Some(range)) } else { Err(()) }
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The beginning of an answer that no browser takes for a page of ours.
pub fn contained(name: &str, content_type: &str, inline: bool) -> http::response::Builder {
    Response::builder()
        .header(CONTENT_TYPE, harmless(content_type))
        .header(CONTENT_DISPOSITION, disposition(name, inline))
        .header(CONTENT_SECURITY_POLICY, CONTAINED)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(CACHE_CONTROL, "private, no-store")
}

/// Answers with all of it or with the part that is asked for; `open` brings the bytes of either.
pub async fn deliver<F>(
    headers: &HeaderMap,
    content: Content<'_>,
    open: impl FnOnce(Option<Range<u64>>) -> F,
) -> Result<Response, Error>
where
    F: Future<Output = Result<BoxStream<'static, io::Result<Bytes>>, Error>>,
{
    let response = contained(content.name, content.content_type, content.inline).header(ACCEPT_RANGES, "bytes");
    let response = match content.etag.and_then(|etag| HeaderValue::from_str(&quoted(etag)).ok()) {
        Some(etag) => response.header(ETAG, etag),
        None => response,
    };
    let answer = match part(headers, &content) {
        Err(()) => response
            .status(StatusCode::RANGE_NOT_SATISFIABLE)
            .header(CONTENT_RANGE, format!("bytes */{}", content.size))
            .body(Body::empty()),
        Ok(None) => response.header(CONTENT_LENGTH, content.size).body(Body::from_stream(open(None).await?)),
        Ok(Some(range)) => response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(CONTENT_RANGE, format!("bytes {}-{}/{}", range.start, range.end - 1, content.size))
            .header(CONTENT_LENGTH, range.end - range.start)
            .body(Body::from_stream(open(Some(range)).await?)),
    };
    answer.map_err(Error::internal)
}

/// A body's bytes; one that pauses for longer than `pause_max` broke off.
pub fn bytes_of(body: Body, pause_max: Duration) -> BoxStream<'static, io::Result<Bytes>> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "nothing came for too long");
    let frames = unfold(body, move |mut body| async move {
        let frame = match tokio::time::timeout(pause_max, body.frame()).await.map_err(late) {
            Ok(frame) => frame?.map_err(io::Error::other),
            Err(error) => Err(error),
        };
        Some((frame.map(|frame| frame.into_data().unwrap_or_default()), body))
    });
    frames.boxed()
}

/// The part of a stream that is asked for, where whoever brings it has only the whole.
pub fn cut(
    whole: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    range: Range<u64>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let place = move |at: &mut u64, mut bytes: Bytes| {
        let (begins, ends) = (*at, *at + bytes.len() as u64);
        *at = ends;
        if begins >= range.end {
            return None;
        }
        // Both are within this piece's length.
        bytes.truncate((range.end.min(ends) - begins) as usize);
        let skipped = range.start.saturating_sub(begins).min(bytes.len() as u64) as usize;
        Some(bytes.split_off(skipped))
    };
    let mut at = 0;
    whole
        .try_filter_map(move |bytes| std::future::ready(Ok(Some(place(&mut at, bytes)))))
        .take_while(|piece| std::future::ready(!matches!(piece, Ok(None))))
        .try_filter_map(|piece| std::future::ready(Ok(piece)))
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(size: u64) -> Content<'static> {
        Content { name: "a", content_type: "text/html", size, etag: Some("x"), inline: false }
    }

    fn asked(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn ranges_are_read_as_clients_write_them() {
        let range = |text| part(&asked(&[("range", text)]), &content(10));
        assert_eq!(range("bytes=0-3"), Ok(Some(0..4)));
        assert_eq!(range("bytes=4-"), Ok(Some(4..10)));
        assert_eq!(range("bytes=-3"), Ok(Some(7..10)));
        assert_eq!(range("bytes=-30"), Ok(Some(0..10)));
        assert_eq!(range("bytes=8-99"), Ok(Some(8..10)));
        for unsatisfiable in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
            assert_eq!(range(unsatisfiable), Err(()), "{unsatisfiable}");
        }
        for whole in ["", "bytes=", "bytes=3-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b"] {
            assert_eq!(range(whole), Ok(None), "{whole}");
        }
        assert_eq!(part(&asked(&[("range", "bytes=0-")]), &content(0)), Err(()));
        assert_eq!(part(&asked(&[("range", "bytes=0-1"), ("if-range", "\"x\"")]), &content(9)), Ok(Some(0..2)));
        assert_eq!(part(&asked(&[("range", "bytes=0-1"), ("if-range", "\"y\"")]), &content(9)), Ok(None));
    }

    #[test]
    fn nothing_that_a_page_named_is_taken_for_a_page() {
        for hostile in
            ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "nonsense", "", "text/html;a"]
        {
            assert_eq!(harmless(hostile), "application/octet-stream", "{hostile}");
        }
        assert_eq!(harmless("Image/PNG; charset=x"), "image/png");
        let name = disposition("a\"\r\n日.pdf", false);
        assert_eq!(name, "attachment; filename=\"a____.pdf\"; filename*=UTF-8''a%22%0D%0A%E6%97%A5.pdf");
        assert!(HeaderValue::from_str(&name).is_ok());
    }

    #[tokio::test]
    async fn a_part_is_cut_out_of_any_pieces() {
        let whole: Vec<u8> = (0..100).collect();
        for piece in [1, 7, 100] {
            for range in [0..1, 0..100, 99..100, 13..57, 7..14] {
                let pieces: Vec<_> = whole.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
                let cut: Vec<Bytes> =
                    cut(futures_util::stream::iter(pieces), range.clone()).try_collect().await.unwrap();
                assert_eq!(cut.concat(), whole[range.start as usize..range.end as usize], "{piece} {range:?}");
            }
        }
    }
}
