//! The API document: what is said once for all operations, and what each operation's gate adds to it.

use crate::answer::dialect;
use crate::cloud::ErrorBody;
use crate::config::{Class, ServerConfig};
use crate::embed::answer;
use crate::gate::Gate;
use http::StatusCode;
use serde_json::json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Paths};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response,
    ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use vitrine_model::{Code, Error};

/// Name of the scheme of an organization's key.
const API_KEY: &str = "apiKey";
/// Name of the scheme of the operator's key.
const OPERATOR_KEY: &str = "operatorKey";
/// Where an operation says what its gate demands.
pub const REQUIRES: &str = "x-requires";

/// Operations on things that may be in the wrong state for them.
const NEEDS_A_STATE: [&str; 26] = [
    "rotateApiKey",
    "changeBrowser",
    "createLiveView",
    "createScreenshot",
    "writeFile",
    "changeSandbox",
    "pauseSandbox",
    "resumeSandbox",
    "execInSandbox",
    "runCodeInSandbox",
    "openTerminal",
    "listPorts",
    "previewPort",
    "readSandboxFile",
    "writeSandboxFile",
    "statSandboxFile",
    "listSandboxFiles",
    "deleteSandboxFile",
    "moveSandboxFile",
    "makeSandboxFolder",
    "downloadSandboxFile",
    "uploadSandboxFile",
    "watchSandboxFiles",
    "createCheckpoint",
    "restoreCheckpoint",
    "convertDocument",
];

/// What the document says of the whole.
const DESCRIPTION: &str = "Browsers and sandboxes for programs, which people can look into. Every id is 32 characters of `a-z0-9`, \
every time is epoch milliseconds, ids travel in the query or the body, unknown fields of a body are ignored and a wrong \
one is named. Errors are `{ error, code, … }`. Every answer to a key carries `X-RateLimit-Limit` (a minute), \
`X-RateLimit-Remaining` and `X-RateLimit-Reset` (the second since the epoch at which the whole burst is there again); a \
429 also carries `Retry-After` (seconds). Every answer carries `X-Request-Id`, which the log knows. What is under `/api/` is \
the embed API: a session's id stands in the path, names have underscores, and the words of errors are in small letters.";

/// The answers that gates and readers give, with the name under which operations refer to them.
const SHARED: [(Code, &str, &str); 8] = [
    (Code::InvalidRequest, "InvalidRequest", "A field is wrong or missing; `field` names it"),
    (Code::Unauthenticated, "Unauthenticated", "No key, or one that is unknown, expired or revoked"),
    (
        Code::PermissionDenied,
        "Forbidden",
        "The key lacks a permission: `PERMISSION_DENIED`; or the plan does: `PLAN_FEATURE_UNAVAILABLE`, `PLAN_LIMIT_EXCEEDED`",
    ),
    (Code::NotFound, "NotFound", "No such thing, or another organization's"),
    (Code::InvalidState, "InvalidState", "Not possible in its state"),
    (Code::PayloadTooLarge, "PayloadTooLarge", "The body is larger than allowed"),
    (Code::RateLimited, "RateLimited", "Too many requests; `Retry-After` says when to come back"),
    (Code::Internal, "Internal", "Something went wrong on our side; the log says what under the `X-Request-Id`"),
];

/// In which words an operation fails.
#[derive(Debug, Clone, Copy)]
enum Dialect {
    Cloud,
    Embed,
}

impl Dialect {
    fn of(path: &str) -> Self {
        if answer::is_spoken_at(path) { Dialect::Embed } else { Dialect::Cloud }
    }

    /// What the names of its shared answers begin with.
    fn prefix(self) -> &'static str {
        match self {
            Dialect::Cloud => "",
            Dialect::Embed => "Embed",
        }
    }

    fn of_code(self, code: Code) -> (StatusCode, &'static str) {
        match self {
            Dialect::Cloud => dialect(code),
            Dialect::Embed => answer::dialect(&Error::new(code, "")),
        }
    }
}

/// The document before the operations.
pub fn document() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Vitrine")
        .description(Some(DESCRIPTION))
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(license));
    let scheme = |description| {
        let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description));
        SecurityScheme::Http(http.build())
    };
    let mut components = ComponentsBuilder::new()
        .schema(ErrorBody::name(), ErrorBody::schema())
        .security_scheme(API_KEY, scheme("An organization's key, `br_live_…`."))
        .security_scheme(OPERATOR_KEY, scheme("The operator's key, `op_…`."));
    for (code, name, description) in SHARED {
        for dialect in [Dialect::Cloud, Dialect::Embed] {
            components = components.response(format!("{}{name}", dialect.prefix()), shared(code, description, dialect));
        }
    }
    let tag = |name, description| TagBuilder::new().name(name).description(Some(description)).build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .components(Some(components.build()))
        .tags(Some([
            tag("Browser sessions", "A real Chromium, isolated, metered, driven over the DevTools protocol."),
            tag("Files and artifacts", "What goes into a session and what it leaves behind."),
            tag("Sandboxes", "A Linux of its own: isolated, metered, paused and resumed."),
            tag("Sandbox programs", "Commands, code, terminals."),
            tag("Sandbox files", "What is on a sandbox's disk, one file or a whole folder."),
            tag("Sandbox checkpoints", "What is kept of a sandbox: its workspace, its artifacts."),
            tag("Profiles", "Logins that outlive their session."),
            tag("Usage", "What was used."),
            tag("API keys", "Who may do what."),
            tag("Webhooks", "Where events go, signed after the Standard Webhooks specification."),
            tag("Embed sessions", "A remote browser in somebody's page, paid for in minutes. Errors are `{ error, code, … }` with words in small letters."),
            tag("Minutes", "What minutes are left, what they cost, how they are bought."),
            tag("Health", "How the system is. No key."),
            tag("Operator", "The whole deployment, with the operator's key."),
        ]))
        .build()
}

/// Adds to operations what their gate demands and answers.
pub fn demand(paths: &mut Paths, gate: Gate, config: &ServerConfig) {
    for (path, item) in &mut paths.paths {
        let dialect = Dialect::of(path);
        for operation in
            [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
        {
            describe(operation, gate, config, dialect);
        }
    }
}

fn describe(operation: &mut Operation, gate: Gate, config: &ServerConfig, dialect: Dialect) {
    let (scheme, class, permission) = match gate {
        Gate::Key { class, needs } => (Some(API_KEY), class, Some(needs.as_str())),
        Gate::Operator => (Some(OPERATOR_KEY), Class::Admin, None),
        Gate::Open { class } => (None, class, None),
    };
    let limit = config.rate_limit(class);
    operation.security = scheme.map(|scheme| vec![SecurityRequirement::new(scheme, [""; 0])]);
    let requires = json!({
        "permission": permission, "class": class.name(), "perMinute": limit.per_minute, "burst": limit.burst,
    });
    operation.extensions = Some(ExtensionsBuilder::new().add(REQUIRES, requires).build());
    let has_body = operation.request_body.is_some();
    let makes_something = operation.responses.responses.contains_key("201");
    // What is made in a session needs the session.
    let has_session = operation.operation_id.as_deref().is_some_and(|id| NEEDS_A_STATE.contains(&id));
    let has_input = has_body || operation.parameters.is_some();
    for (code, name, _) in SHARED {
        let answers = match code {
            Code::InvalidRequest => has_input,
            Code::NotFound => has_input && !makes_something || has_session,
            Code::PayloadTooLarge => has_body,
            Code::PermissionDenied => permission.is_some(),
            Code::Unauthenticated => scheme.is_some(),
            Code::InvalidState => operation.operation_id.as_deref().is_some_and(|id| NEEDS_A_STATE.contains(&id)),
            _ => true,
        };
        if answers {
            let status = dialect.of_code(code).0.as_u16().to_string();
            let name = format!("{}{name}", dialect.prefix());
            operation.responses.responses.entry(status).or_insert(RefOr::Ref(Ref::from_response_name(name)));
        }
    }
}

fn shared(code: Code, description: &str, dialect: Dialect) -> Response {
    let example = json!({ "error": description, "code": dialect.of_code(code).1 });
    let schema = RefOr::Ref(Ref::from_schema_name(ErrorBody::name()));
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
    let mut response = ResponseBuilder::new().description(description).content("application/json", content);
    if code == Code::RateLimited {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
        response = response.header("Retry-After", HeaderBuilder::new().schema(Some(seconds)).build());
    }
    response.build()
}
