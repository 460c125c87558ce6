//! The way into the page of an embed session: the link, the entry, the cookie, the page's token and what it opens; and who
//! may frame what. Attackers know every id and every page of ours, never a token.

use crate::support::{Harness, Reply, entropy, raised};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vitrine_model::embed::Policy;
use vitrine_model::token::{Claims, Scope, SigningKey};
use vitrine_model::wire::{Purpose, Workload};
use vitrine_model::{BrowserSpec, EgressProfile, EmbedSpec, EndReason, EpochMs, Isolation, SessionId, TokenId, Weight};
use vitrine_server::{Clock, SystemClock};
use vitrine_store::{CreateLimits, NewSession, Session};

const MINUTE_MS: EpochMs = 60_000;

/// An embed session that runs, and the key that signs its tokens.
pub struct Embedded {
    pub session: Session,
    key: SigningKey,
}

impl Embedded {
    pub async fn start(harness: &Harness, change: impl FnOnce(&mut EmbedSpec)) -> Self {
        let now = SystemClock.now();
        let mut embed = EmbedSpec {
            minutes: 15,
            demo: true,
            cdp: false,
            embedding_origins: vec!["https://app.example.com".into(), "https://*.customer.example:*".into()],
            policy: Policy::open(now),
        };
        change(&mut embed);
        let spec = BrowserSpec {
            weight: Weight::Light,
            isolation: Isolation::Shared,
            egress_profile: EgressProfile::SharedDc,
            proxy: None,
            max_duration_ms: u64::from(embed.minutes) * 60_000,
            idle_timeout_ms: 0,
            region: None,
            stealth: false,
            recording: false,
            captcha: false,
            har: None,
            profile_key: None,
            embed: Some(embed),
        };
        let organization = harness.store.organizations().await.unwrap().remove(0);
        let new = NewSession {
            id: SessionId::new(now, entropy().as_ref()),
            organization: organization.id,
            api_key: None,
            workload: Workload::Browser(spec),
            reserve_mb: 96,
            limit_mb: 768,
            profile_key: None,
            queue_deadline: now + MINUTE_MS,
        };
        let limits = CreateLimits { concurrent: 100, period_start: now, hours_ms: u64::MAX / 4 };
        harness.store.create_session(&new, limits, now).await.unwrap().unwrap();
        loop {
            let session = harness.store.session(&new.id).await.unwrap().unwrap();
            if session.status.is_running() {
                let key = harness.store.secret("connect-tokens", [0; 32]).await.unwrap();
                return Self { session, key: SigningKey::new(key) };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn sign(&self, scope: Scope, expires_at: EpochMs, id: Option<TokenId>) -> String {
        let session = &self.session;
        self.key.sign(&Claims {
            session: session.id.clone(),
            run: session.run.clone().unwrap(),
            machine: session.machine.clone().unwrap(),
            scope,
            expires_at,
            id,
        })
    }

    fn login(&self) -> String {
        let token = self.sign(Scope::Login, self.session.expires_at.unwrap(), None);
        format!("/login?token={}.{token}&mid={}", self.session.id, self.session.machine.as_ref().unwrap())
    }

    fn path(&self, rest: &str) -> String {
        format!("/s/{}{rest}", self.session.id)
    }

    async fn end(&self, harness: &Harness) {
        let now = SystemClock.now();
        harness.store.request_end(&self.session.id, None, EndReason::Deleted, now).await.unwrap().unwrap();
    }
}

async fn ask(harness: &Harness, method: &str, path: &str, headers: &[String], body: &str) -> Reply {
    let address = harness.address;
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}");
    harness.send(&format!("{head}Content-Length: {length}\r\n\r\n{body}")).await
}

async fn get(harness: &Harness, path: &str) -> Reply {
    ask(harness, "GET", path, &[], "").await
}

async fn trade(harness: &Harness, session: &Embedded, entry: &str) -> Reply {
    ask(harness, "POST", &session.path("/token"), &[], &json!({"entry": entry}).to_string()).await
}

/// The entry in the address that a login leads to.
fn entry(login: &Reply) -> String {
    let location = login.header("location").expect("a redirect");
    location.split_once("#entry=").expect("an entry in the fragment").1.to_owned()
}

fn cookie(login: &Reply) -> String {
    let cookie = login.header("set-cookie").expect("a cookie");
    cookie.split_once(';').unwrap().0.to_owned()
}

fn ancestors(reply: &Reply) -> &str {
    let policy = reply.header("content-security-policy").expect("a policy");
    policy.split_once("frame-ancestors ").expect("frame-ancestors").1
}

/// What every answer on the way to a page has.
#[track_caller]
fn expect_careful(reply: &Reply) {
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{reply:?}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{reply:?}");
    assert_eq!(reply.header("x-frame-options"), None, "{reply:?}");
    assert!(matches!(reply.header("cache-control"), Some("no-store" | "no-cache")), "{reply:?}");
}

/// A page that says that there is no session, and why.
#[track_caller]
fn expect_trouble(reply: &Reply, status: u16, word: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert!(reply.text.contains(&format!("data-reason=\"{word}\"")), "{reply:?}");
    assert!(!reply.text.contains("<script>") && !reply.text.contains("onload="), "{reply:?}");
    assert_eq!(reply.header("location"), None);
    assert_eq!(reply.header("set-cookie"), None);
    expect_careful(reply);
}

const FRAMED_BY: &str = "'self' https://app.example.com https://*.customer.example:*";

#[tokio::test]
async fn a_link_leads_to_the_page_and_its_token_does_not_travel_on() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let session = Embedded::start(&harness, |_| {}).await;
    let login = get(&harness, &session.login()).await;
    assert_eq!(login.status, 302, "{login:?}");
    let location = login.header("location").unwrap();
    assert!(location.starts_with(&format!("s/{}/#entry=entry.", session.session.id)), "{location}");
    assert!(!location.contains("login."));
    let cookie_header = login.header("set-cookie").unwrap();
    let framed = format!("; Path=/s/{}/; Max-Age=", session.session.id);
    assert!(cookie_header.contains(&framed) && !cookie_header.contains("login."), "{cookie_header}");
    assert!(cookie_header.ends_with("; HttpOnly; SameSite=None; Secure; Partitioned"), "{cookie_header}");
    assert_eq!(ancestors(&login), FRAMED_BY);
    expect_careful(&login);
    // It is good again and again, with what an element adds; each time another entry.
    let again = format!("{}&bbx_embed_retry=2&bbx_recover_t=1770611914916&ui=false", session.login());
    let again = get(&harness, &again).await;
    assert!(again.header("location").unwrap().starts_with(&format!("s/{}/?ui=false#entry=", session.session.id)));
    assert_ne!(entry(&login), entry(&again));

    let bare = get(&harness, &session.path("?ui=false")).await;
    let target = format!("{}/?ui=false", session.session.id);
    assert_eq!((bare.status, bare.header("location")), (308, Some(target.as_str())));
    let page = get(&harness, &session.path("/")).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(ancestors(&page), FRAMED_BY);
    let policy = page.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "form-action 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    expect_careful(&page);

    let given = trade(&harness, &session, &entry(&login)).await;
    assert_eq!(given.status, 200, "{given:?}");
    let own = format!("http://{}", harness.address);
    let origins = json!([own, "https://app.example.com", "https://*.customer.example:*"]);
    assert_eq!(given.body["embeddingOrigins"], origins);
    let left = given.body["expiresAt"].as_i64().unwrap() - SystemClock.now();
    assert!((1..=5 * MINUTE_MS).contains(&left), "{left}");
    assert_eq!(given.body["sessionExpiresAt"], session.session.expires_at.unwrap());
    assert_eq!(given.body["machineId"], session.session.machine.as_ref().unwrap().to_string());
    harness.finish().await;
}

#[tokio::test]
async fn an_entry_is_good_once_and_for_its_own_session() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let session = Embedded::start(&harness, |_| {}).await;
    let other = Embedded::start(&harness, |_| {}).await;
    let first = entry(&get(&harness, &session.login()).await);
    trade(&harness, &other, &first).await.expect(401, "UNAUTHENTICATED");
    assert_eq!(trade(&harness, &session, &first).await.status, 200);
    trade(&harness, &session, &first).await.expect(401, "UNAUTHENTICATED");

    let second = entry(&get(&harness, &session.login()).await);
    let body = json!({"entry": second}).to_string();
    let (path, headers) = (session.path("/token"), Vec::new());
    let trades = (0..1_000).map(|_| ask(&harness, "POST", &path, &headers, &body));
    let replies = futures_util::future::join_all(trades).await;
    let tokens: HashSet<&str> = replies.iter().filter_map(|reply| reply.body["token"].as_str()).collect();
    assert_eq!((replies.iter().filter(|reply| reply.status == 200).count(), tokens.len()), (1, 1));

    let now = SystemClock.now();
    let id = || Some(TokenId::new(now, entropy().as_ref()));
    for wrong in [
        session.sign(Scope::Entry, now - 1, id()),
        session.sign(Scope::Entry, now + MINUTE_MS, None),
        session.sign(Scope::Login, now + MINUTE_MS, None),
        session.sign(Scope::Page, now + MINUTE_MS, None),
        session.sign(Scope::Control, now + MINUTE_MS, id()),
        String::new(),
        "x".repeat(3_000),
    ] {
        trade(&harness, &session, &wrong).await.expect(401, "UNAUTHENTICATED");
    }
    for (body, status) in [("[]", 400), ("{", 400), ("{\"entry\":1}", 400), ("{}", 401), ("", 401)] {
        let reply = ask(&harness, "POST", &path, &[], body).await;
        assert_eq!(reply.status, status, "{body} {reply:?}");
    }
    let large = ask(&harness, "POST", &path, &[], &"x".repeat(5_000)).await;
    large.expect(413, "PAYLOAD_TOO_LARGE");
    harness.finish().await;
}

#[tokio::test]
async fn a_cookie_counts_for_the_page_itself_and_a_token_is_renewed() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let session = Embedded::start(&harness, |_| {}).await;
    let cookie = format!("Cookie: theme=dark; {}", cookie(&get(&harness, &session.login()).await));
    let own = format!("Origin: http://{}", harness.address);
    let post = async |headers: &[&str]| {
        let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
        ask(&harness, "POST", &session.path("/token"), &headers, "").await
    };
    let given = post(&[&cookie, "Sec-Fetch-Site: same-origin", &own]).await;
    assert_eq!(given.status, 200, "{given:?}");
    assert_eq!(post(&[&cookie, &own]).await.status, 200, "plain http says only the origin");
    for strange in [
        vec!["Sec-Fetch-Site: cross-site", "Origin: https://app.example.com"],
        vec!["Sec-Fetch-Site: same-site", "Origin: http://localhost"],
        vec!["Sec-Fetch-Site: cross-site", &own],
        vec!["Sec-Fetch-Site: none"],
        vec!["Origin: https://evil.example"],
        vec!["Origin: null"],
        vec![],
    ] {
        let headers: Vec<&str> = std::iter::once(cookie.as_str()).chain(strange.clone()).collect();
        post(&headers).await.expect(403, "PERMISSION_DENIED");
    }
    let forged = format!("Cookie: vitrine_page={}", session.sign(Scope::Page, SystemClock.now() + MINUTE_MS, None));
    post(&[&forged, &own]).await.expect(401, "UNAUTHENTICATED");
    let tossed = format!("Cookie: vitrine_page=evil; {}", cookie.split_once("; ").unwrap().1);
    assert_eq!(post(&[&tossed, &own]).await.status, 200, "a neighbour's cookie of the same name does no harm");

    let bearer = |reply: &Reply| format!("Authorization: Bearer {}", reply.body["token"].as_str().unwrap());
    let renewed = post(&[&bearer(&given)]).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert_eq!(post(&[&bearer(&renewed)]).await.status, 200);
    let expired = session.sign(Scope::Page, SystemClock.now() - 1, None);
    post(&[&format!("Authorization: Bearer {expired}"), &cookie, &own]).await.expect(401, "UNAUTHENTICATED");
    harness.finish().await;
}

#[tokio::test]
async fn what_is_wrong_or_over_gets_a_page_that_says_so() {
    let mut harness = Harness::raised().await;
    let node = harness.node(4).await;
    let session = Embedded::start(&harness, |_| {}).await;
    expect_trouble(&get(&harness, "/login").await, 401, "login_missing");
    let good = session.login();
    let token = good.split_once("token=").unwrap().1.split_once('&').unwrap().0.to_owned();
    let other = SessionId::new(1, entropy().as_ref());
    for wrong in [
        "x".to_owned(),
        "x".repeat(9_000),
        token[..token.len() - 1].to_owned(),
        token.replace(session.session.id.as_str(), other.as_str()),
        token.replace("login.", "entry."),
        format!("{}.{}", session.session.id, session.sign(Scope::Page, SystemClock.now() + MINUTE_MS, None)),
        "%22%3E%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
    ] {
        let reply = get(&harness, &format!("/login?token={wrong}")).await;
        expect_trouble(&reply, 401, "login_invalid");
        assert_eq!(ancestors(&reply), "*");
        assert!(!reply.text.contains("alert"), "nothing of the link is on the page");
    }
    let elsewhere = format!("{}0", &good[..good.len() - 1]);
    let elsewhere = if elsewhere == good { format!("{}1", &good[..good.len() - 1]) } else { elsewhere };
    expect_trouble(&get(&harness, &elsewhere).await, 404, "wrong_machine");
    assert_eq!(get(&harness, &format!("/login?token={token}")).await.status, 302, "the token decides");
    let old = format!("{}.{}", session.session.id, session.sign(Scope::Login, 1, None));
    let expired = get(&harness, &format!("/login?token={old}")).await;
    expect_trouble(&expired, 410, "session_expired");
    assert_eq!(ancestors(&expired), FRAMED_BY);
    for unknown in [format!("/s/{other}/"), "/s/nothing/".to_owned()] {
        let reply = get(&harness, &unknown).await;
        expect_trouble(&reply, 404, "session_unknown");
        assert!(reply.text.contains("src=\"../../s/trouble.js\""), "{reply:?}");
    }
    let script = get(&harness, "/s/trouble.js").await;
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert!(script.text.contains("bbx-sos"));

    let given = trade(&harness, &session, &entry(&get(&harness, &good).await)).await;
    let left = entry(&get(&harness, &good).await);
    session.end(&harness).await;
    expect_trouble(&get(&harness, &good).await, 410, "session_ended");
    expect_trouble(&get(&harness, &session.path("/")).await, 410, "session_ended");
    let renewal = format!("Authorization: Bearer {}", given.body["token"].as_str().unwrap());
    let renewed = ask(&harness, "POST", &session.path("/token"), std::slice::from_ref(&renewal), "").await;
    renewed.expect(401, "UNAUTHENTICATED");
    assert_eq!(renewed.body["endReason"], "deleted");
    assert_eq!(trade(&harness, &session, &left).await.body["endReason"], "deleted");
    let files = ask(&harness, "GET", &session.path("/files"), &[renewal], "").await;
    assert_eq!(files.body["endReason"], "deleted");

    // A browser of the cloud API has no page here.
    let browser = harness.ready_session().await;
    let page = get(&harness, &format!("/s/{}/", browser.body["id"].as_str().unwrap())).await;
    expect_trouble(&page, 404, "session_unknown");
    drop(node);
    harness.finish().await;
}

/// Opens a WebSocket as far as the answer's head.
async fn open_socket(harness: &Harness, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        harness.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let length = stream.read(&mut answer).await.unwrap();
    (stream, String::from_utf8_lossy(&answer[..length]).into_owned())
}

#[tokio::test]
async fn a_pages_token_opens_its_socket_and_files_and_nothing_else() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let session = Embedded::start(&harness, |_| {}).await;
    let other = Embedded::start(&harness, |_| {}).await;
    let given = trade(&harness, &session, &entry(&get(&harness, &session.login()).await)).await;
    let token = given.body["token"].as_str().unwrap().to_owned();
    let (_stream, answer) = open_socket(&harness, &session.path(&format!("/ws?token={token}"))).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let dialled = harness.machine.dials.lock().unwrap().last().unwrap().purpose;
    assert_eq!(dialled, Purpose::View { control: true, calls: true });
    let now = SystemClock.now();
    let login = session.sign(Scope::Login, now + MINUTE_MS, None);
    let control = session.sign(Scope::Control, now + MINUTE_MS, None);
    for path in [
        other.path(&format!("/ws?token={token}")),
        session.path("/ws"),
        session.path(&format!("/ws?token={login}")),
        session.path(&format!("/ws?token={control}")),
        // Without the embedder's calls, nothing of what it may restrict would hold.
        format!("/view/{}/ws?token={token}", session.session.id),
        format!("/cdp/{}?token={token}", session.session.id),
    ] {
        let (_, answer) = open_socket(&harness, &path).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{path} {answer}");
    }

    let bearer = vec![format!("Authorization: Bearer {token}")];
    let put = async |session: &Embedded, headers: &[String]| {
        ask(&harness, "PUT", &session.path("/files/raw?path=uploads/a.txt"), headers, "hello").await
    };
    assert_eq!(put(&session, &bearer).await.status, 201);
    let listed = ask(&harness, "GET", &session.path("/files"), &bearer, "").await;
    assert_eq!(listed.body["files"][0]["path"], "uploads/a.txt", "{listed:?}");
    let read = ask(&harness, "GET", &session.path("/files/raw?path=uploads/a.txt"), &bearer, "").await;
    assert_eq!((read.status, read.text.as_str()), (200, "hello"));
    put(&other, &bearer).await.expect(401, "UNAUTHENTICATED");
    put(&session, &[]).await.expect(401, "UNAUTHENTICATED");
    put(&session, &[format!("Authorization: Bearer {control}")]).await.expect(401, "UNAUTHENTICATED");
    harness.finish().await;
}

#[tokio::test]
async fn a_policy_without_downloads_and_uploads_holds_for_the_pages_files() {
    let mut harness = Harness::raised().await;
    harness.node(4).await;
    let session =
        Embedded::start(&harness, |embed| (embed.policy.downloads, embed.policy.uploads) = (false, false)).await;
    let given = trade(&harness, &session, &entry(&get(&harness, &session.login()).await)).await;
    let bearer = vec![format!("Authorization: Bearer {}", given.body["token"].as_str().unwrap())];
    for (method, path) in
        [("GET", "/files"), ("GET", "/files/raw?path=downloads/a"), ("PUT", "/files/raw?path=uploads/a")]
    {
        ask(&harness, method, &session.path(path), &bearer, "x").await.expect(403, "PERMISSION_DENIED");
    }
    harness.finish().await;
}

#[tokio::test]
async fn framing_is_the_operators_and_the_rows_and_cannot_break_out_of_its_header() {
    let mut config = raised();
    config.embed.frame_ancestors = vec!["https://Console.example.com:443".into()];
    config.public_url = Some("https://browsers.example.com/eu/".into());
    let mut harness = Harness::start(config).await;
    harness.node(4).await;
    // What stands in the row was validated; should it ever not have been, it frames nowhere.
    let session = Embedded::start(&harness, |embed| {
        embed.embedding_origins = vec![
            "https://a.example; script-src *".into(),
            "https://b.example\r\nSet-Cookie: a=b".into(),
            "*".into(),
            "https://good.example".into(),
        ];
    })
    .await;
    let login = get(&harness, &session.login()).await;
    assert_eq!(ancestors(&login), "'self' https://console.example.com https://good.example");
    let cookie = login.header("set-cookie").unwrap();
    assert!(cookie.contains(&format!("Path=/eu/s/{}/;", session.session.id)), "{cookie}");
    assert!(login.header("location").unwrap().starts_with("s/"), "relative: right below any path");
    let own = "Origin: https://browsers.example.com".to_owned();
    let headers = [format!("Cookie: {}", cookie.split_once(';').unwrap().0), own];
    let given = ask(&harness, "POST", &session.path("/token"), &headers, "").await;
    let origins = ["https://browsers.example.com", "https://console.example.com", "https://good.example"];
    assert_eq!(given.body["embeddingOrigins"], json!(origins), "{given:?}");
    harness.finish().await;
}

#[tokio::test]
async fn the_element_is_offered_to_every_page() {
    let harness = Harness::raised().await;
    for path in ["/browserbox-webview.js", "/vitrine-webview.js"] {
        let script = get(&harness, path).await;
        if script.status == 404 {
            // Built without web/element: said so, in the API's shape.
            script.expect(404, "NOT_FOUND");
            continue;
        }
        assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(script.header("access-control-allow-origin"), Some("*"));
        assert_eq!(script.header("cross-origin-resource-policy"), Some("cross-origin"));
        assert_eq!(script.header("cache-control"), Some("no-cache"));
        assert!(!script.text.contains("sourceMappingURL"));
        let tag = script.header("etag").unwrap().to_owned();
        let known = ask(&harness, "GET", path, &[format!("If-None-Match: {tag}")], "").await;
        assert_eq!((known.status, known.text.as_str()), (304, ""));
        let version = get(&harness, &format!("/assets/webview-{}.js", tag.trim_matches('"'))).await;
        assert_eq!(version.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(version.text, script.text);
    }
    get(&harness, "/assets/webview-0000000000000000.js").await.expect(404, "NOT_FOUND");
    let demo = get(&harness, "/demo").await;
    assert_eq!(demo.status, 200);
    let policy = demo.header("content-security-policy").unwrap();
    assert!(
        policy.ends_with(&format!("frame-src 'self' http://{}; frame-ancestors 'none'", harness.address)),
        "{policy}"
    );
    assert_eq!(demo.body, Value::Null);
    harness.finish().await;
}
