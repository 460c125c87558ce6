//! CAPTCHAs: noticed in look-alikes of every kind, answered, and never a danger to who watches.

use crate::host::LocalHost;
use crate::site::{Reply, path, site};
use crate::{BUILDS, SOON, evaluate, first_page, start};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;
use vitrine_browser::Build;
use vitrine_browser::captcha::{Answer, Captcha, Challenge, Event, Kind, Solve};
use vitrine_cdp::Session;
use vitrine_cdp::protocol::page::Navigate;

/// Long enough for three looks.
const NOTHING_MORE: Duration = Duration::from_secs(3);

const WIDGETS: [(Kind, &str, &str); 8] = [
    (Kind::RecaptchaV2, "key-v2", "<form><div class=g-recaptcha data-sitekey=key-v2 data-callback=taken></div></form>"),
    (Kind::RecaptchaV3, "key-v3", "<script src='https://www.google.test/recaptcha/api.js?render=key-v3'></script>"),
    (
        Kind::RecaptchaEnterprise,
        "key-e",
        "<iframe src='https://www.google.test/recaptcha/enterprise/anchor?ar=1&k=key-e&s=more'></iframe>",
    ),
    (
        Kind::Hcaptcha,
        "key-h",
        "<iframe src='https://newassets.hcaptcha.com/c/1/hcaptcha.html#frame=checkbox&sitekey=key-h'></iframe>",
    ),
    (Kind::Turnstile, "0x4AAAAAAA_key", "<div class=cf-turnstile data-sitekey=0x4AAAAAAA_key data-action=login></div>"),
    (
        Kind::Arkose,
        "11111111-2222-3333-4444-555555555555",
        "<script src='https://client-api.arkoselabs.com/v2/11111111-2222-3333-4444-555555555555/api.js'></script>",
    ),
    (Kind::Geetest, "key-g", "<script src='https://gcaptcha4.geetest.com/load?captcha_id=key-g&lang=en'></script>"),
    (Kind::AwsWaf, "", "<script src='https://a1b2.edge.captcha-sdk.awswaf.com/a1b2/jsapi.js'></script>"),
];

/// The path names the page: `/all`, `/frame` (in another site's frame), a widget's number, or nothing.
async fn widgets() -> u16 {
    site(|request| {
        let host = request.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
        let body = match path(request) {
            "/all" => WIDGETS.map(|(.., html)| html).concat(),
            "/frame" => format!("<iframe src='http://{}/0'></iframe>", host.replace("localhost", "127.0.0.1")),
            path => path[1..].parse().map_or("plain", |number: usize| WIDGETS[number].2).to_owned(),
        };
        Reply::html(format!("<!doctype html><script>taken = token => window.told = token</script>{body}"))
    })
    .await
}

async fn visit(page: &Session, url: String) {
    page.call(Navigate { url, ..Navigate::default() }).await.expect("navigated");
}

async fn next(captcha: &mut Captcha) -> Event {
    timeout(SOON, captcha.next()).await.expect("in time").expect("an event")
}

async fn detected(captcha: &mut Captcha) -> Challenge {
    match next(captcha).await {
        Event::Detected(challenge) => challenge,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_kind_is_noticed_once_for_each_load() {
    let port = widgets().await;
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let connection = browser.connection().await.expect("connection");
        let page = first_page(&connection).await;
        let mut captcha = Captcha::watch(connection, None);
        let url = format!("http://localhost:{port}/all");
        for _ in 0..2 {
            visit(&page, url.clone()).await;
            let mut seen = HashSet::new();
            for _ in WIDGETS {
                let challenge = detected(&mut captcha).await;
                assert_eq!(challenge.url, url);
                seen.insert((challenge.kind, challenge.site_key.unwrap_or_default()));
            }
            assert_eq!(seen, WIDGETS.iter().map(|(kind, key, _)| (*kind, (*key).to_owned())).collect(), "{build:?}");
            assert!(timeout(NOTHING_MORE, captcha.next()).await.is_err(), "told again");
        }
        browser.close(SOON).await;
        assert_eq!(timeout(SOON, captcha.next()).await.expect("ended"), None);
    }
}

#[tokio::test]
async fn one_that_comes_later_or_in_a_frame_is_noticed() {
    let port = widgets().await;
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    let connection = browser.connection().await.expect("connection");
    let page = first_page(&connection).await;
    let mut captcha = Captcha::watch(connection, None);
    visit(&page, format!("http://localhost:{port}/plain")).await;
    assert!(timeout(NOTHING_MORE, captcha.next()).await.is_err(), "there is none");
    evaluate(
        &page,
        "{ const late = document.createElement('div'); late.className = 'h-captcha'; late.dataset.sitekey = 'late';
        document.documentElement.append(late); } 0",
    )
    .await;
    let late = detected(&mut captcha).await;
    assert_eq!((late.kind, late.site_key.as_deref()), (Kind::Hcaptcha, Some("late")));
    visit(&page, format!("http://localhost:{port}/frame")).await;
    let framed = detected(&mut captcha).await;
    assert_eq!((framed.kind, framed.url), (Kind::RecaptchaV2, format!("http://localhost:{port}/frame")));
}

/// Answers what it is told to, and keeps what it was asked.
struct Scripted {
    answer: Result<Answer, String>,
    asked: Mutex<Vec<Challenge>>,
}

impl Scripted {
    fn new(answer: Result<Answer, String>) -> Arc<Scripted> {
        Arc::new(Scripted { answer, asked: Mutex::default() })
    }
}

impl Solve for Scripted {
    fn solve(&self, challenge: Challenge) -> BoxFuture<'_, Result<Answer, String>> {
        self.asked.lock().expect("lock").push(challenge);
        async { self.answer.clone() }.boxed()
    }
}

fn token(token: &str) -> Answer {
    Answer { token: token.into(), fields: BTreeMap::new() }
}

#[tokio::test]
async fn the_page_takes_the_solvers_answer() {
    let port = widgets().await;
    for build in BUILDS {
        let host = LocalHost::new();
        let browser = start(&host, &host.launch(build)).await;
        let connection = browser.connection().await.expect("connection");
        let page = first_page(&connection).await;
        let solver = Scripted::new(Ok(token("the answer")));
        let mut captcha = Captcha::watch(connection, Some(solver.clone()));

        visit(&page, format!("http://localhost:{port}/0")).await;
        let challenge = detected(&mut captcha).await;
        assert_eq!(next(&mut captcha).await, Event::Solved(challenge.clone()), "{build:?}");
        assert_eq!(*solver.asked.lock().expect("lock"), [challenge]);
        assert_eq!(
            evaluate(&page, "new FormData(document.forms[0]).get('g-recaptcha-response')").await,
            json!("the answer")
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(evaluate(&page, "told").await, json!("the answer"), "its callback is called");

        visit(&page, format!("http://localhost:{port}/4")).await;
        let challenge = detected(&mut captcha).await;
        assert_eq!(challenge.action.as_deref(), Some("login"));
        assert!(matches!(next(&mut captcha).await, Event::Solved(_)));
        assert_eq!(
            evaluate(&page, "document.querySelector('[name=cf-turnstile-response]').value").await,
            json!("the answer")
        );
    }
}

#[tokio::test]
async fn a_solver_that_fails_and_a_page_that_takes_nothing_are_told() {
    let port = widgets().await;
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    let connection = browser.connection().await.expect("connection");
    let page = first_page(&connection).await;
    let failed = |event: Event| match event {
        Event::Failed { message, .. } => message,
        other => panic!("{other:?}"),
    };

    let mut captcha = Captcha::watch(connection.clone(), Some(Scripted::new(Err("nobody is there".into()))));
    visit(&page, format!("http://localhost:{port}/0")).await;
    detected(&mut captcha).await;
    assert_eq!(failed(next(&mut captcha).await), "nobody is there");

    let mut captcha = Captcha::watch(connection.clone(), Some(Scripted::new(Ok(token(&"x".repeat(1 << 20))))));
    detected(&mut captcha).await;
    assert!(failed(next(&mut captcha).await).contains("larger"));

    let mut captcha = Captcha::watch(connection, Some(Scripted::new(Ok(token("x")))));
    visit(&page, format!("http://localhost:{port}/7")).await;
    detected(&mut captcha).await;
    assert!(failed(next(&mut captcha).await).contains("no place"));
}

#[tokio::test]
async fn a_page_that_hangs_or_floods_holds_up_no_other() {
    let port = widgets().await;
    let host = LocalHost::new();
    let browser = start(&host, &host.launch(Build::HeadlessShell)).await;
    let connection = browser.connection().await.expect("connection");
    let page = first_page(&connection).await;
    let other = crate::open(&connection, format!("http://127.0.0.1:{port}/plain")).await;
    visit(&page, format!("http://localhost:{port}/plain")).await;
    let mut captcha = Captcha::watch(connection, None);
    evaluate(
        &page,
        "for (let i = 0; i < 10000; i++) { const one = document.createElement('div'); one.className = 'h-captcha';
        one.dataset.sitekey = i + 'x'.repeat(i ? 10 : 1e7); document.documentElement.append(one); } 0",
    )
    .await;
    let mut seen = HashSet::new();
    while let Ok(Some(Event::Detected(challenge))) = timeout(NOTHING_MORE, captcha.next()).await {
        assert!(challenge.site_key.as_ref().is_some_and(|key| key.len() <= 2048));
        seen.insert(challenge.site_key);
    }
    assert!((1..=8).contains(&seen.len()), "{}", seen.len());
    let hang = page.call_within(
        Duration::from_millis(200),
        vitrine_cdp::protocol::runtime::Evaluate { expression: "for (;;);".into(), ..Default::default() },
    );
    hang.await.expect_err("no answer");
    visit(&other, format!("http://127.0.0.1:{port}/1")).await;
    assert_eq!(detected(&mut captcha).await.kind, Kind::RecaptchaV3);
    browser.close(Duration::from_secs(1)).await;
}
