//! What a request under `/cdp/` asks for, read from its path and query.
//!
//! `SESSION[/]`, `SESSION/devtools/(browser|page)/ID[/]` are WebSockets; `SESSION/json…[/]` are Chrome's questions. The query carries
//! `token=`; everything else in it is Chrome's.

use vitrine_model::SessionId;

/// Longest id of a target.
const TARGET_ID_CHARS_MAX: usize = 64;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) session: SessionId,
    pub(super) target: Target,
    pub(super) token: Option<String>,
    /// The query without the token.
    pub(super) query: String,
}

/// What it asks for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The browser's own WebSocket.
    Browser,
    /// A WebSocket by its path.
    Socket(String),
    /// One of Chrome's questions, by its path.
    Question(String),
}

impl Address {
    /// Reads what follows `/cdp/`; `None` when nothing is there.
    pub(super) fn parse(path: &str, query: &str) -> Option<Self> {
        let (session, rest) = path.split_once('/').unwrap_or((path, ""));
        let (token, query) = split_token(query);
        // Clients that put `/json/version` behind the whole URL put it behind the token.
        let (token, glued) = match token {
            Some(token) => match token.split_once('/') {
                Some((token, glued)) => (Some(token), glued),
                None => (Some(token), ""),
            },
            None => (None, ""),
        };
        let rest = rest.trim_end_matches('/');
        let rest = if rest.is_empty() { glued.trim_end_matches('/') } else { rest };
        Some(Self {
            session: SessionId::parse(session).ok()?,
            target: target(rest)?,
            token: token.map(str::to_owned),
            query,
        })
    }
}

/// The token and the rest of the query, byte for byte: for `json/new` it is a URL.
fn split_token(query: &str) -> (Option<&str>, String) {
    let token = query.split('&').find_map(|part| part.strip_prefix("token="));
    let mut taken = false;
    let rest: Vec<&str> = query
        .split('&')
        .filter(|part| {
            taken || {
                taken = part.starts_with("token=");
                !taken
            }
        })
        .collect();
    (token, rest.join("&"))
}

fn target(rest: &str) -> Option<Target> {
    let question = || Target::Question(format!("/{rest}"));
    match rest {
        "" => return Some(Target::Browser),
        "json" | "json/version" | "json/list" | "json/protocol" | "json/new" => return Some(question()),
        _ => {}
    }
    let (kind, id) = rest.rsplit_once('/')?;
    let is_id = !id.is_empty()
        && id.len() <= TARGET_ID_CHARS_MAX
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match kind {
        "json/activate" | "json/close" if is_id => Some(question()),
        "devtools/browser" | "devtools/page" if is_id => Some(Target::Socket(format!("/{rest}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdefghijklmnopqrstuv";

    fn parse(rest: &str, query: &str) -> Option<(Target, Option<String>, String)> {
        let address = Address::parse(&format!("{ID}{rest}"), query)?;
        Some((address.target, address.token, address.query))
    }

    #[test]
    fn paths_name_what_is_asked_for_with_and_without_a_trailing_slash() {
        for rest in ["", "/"] {
            assert_eq!(parse(rest, "token=a.b").unwrap(), (Target::Browser, Some("a.b".into()), "".into()));
        }
        let socket = Target::Socket("/devtools/page/ABC-1".into());
        assert_eq!(parse("/devtools/page/ABC-1", "").unwrap().0, socket);
        assert_eq!(parse("/devtools/page/ABC-1/", "").unwrap().0, socket);
        assert_eq!(parse("/json/version/", "").unwrap().0, Target::Question("/json/version".into()));
        assert_eq!(parse("/json/close/A", "").unwrap().0, Target::Question("/json/close/A".into()));
        for wrong in
            ["/json/nope", "/devtools/page/", "/devtools/page/..", "/json/close/a%2f", "/x", "/devtools/inspector.html"]
        {
            assert_eq!(parse(wrong, ""), None, "{wrong}");
        }
        assert_eq!(Address::parse("../json", ""), None);
    }

    #[test]
    fn the_rest_of_the_query_is_passed_on_as_it_came() {
        let url = "https://a.example/?x=1&token=theirs";
        assert_eq!(parse("/json/new", &format!("token=T&{url}")).unwrap().2, url);
        assert_eq!(parse("/json/new", "https://a.example/?a=%20&token=T").unwrap().2, "https://a.example/?a=%20");
        assert_eq!(parse("", "").unwrap(), (Target::Browser, None, "".into()));
    }

    #[test]
    fn a_discovery_path_behind_the_token_is_understood() {
        let found = parse("", "token=T/json/version").unwrap();
        assert_eq!(found, (Target::Question("/json/version".into()), Some("T".into()), "".into()));
        assert_eq!(parse("", "token=T/json/version/").unwrap().0, Target::Question("/json/version".into()));
        assert_eq!(parse("", "token=T/").unwrap().0, Target::Browser);
    }
}
