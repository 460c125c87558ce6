//! `Fetch`: written by `cargo xtask cdp` from Chromium's description; do not edit.

use serde::{Deserialize, Serialize};

/// Continues the request, optionally modifying some of its parameters.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContinueRequest {
    /// An id the client received in requestPaused event.
    pub request_id: RequestId,
    /// If set, the request url will be modified in a way that's not observable by page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// If set, the request method is overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// If set, overrides the post data in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_data: Option<String>,
    /// If set, overrides the request headers. Note that the overrides do not
    /// extend to subsequent redirect hops, if a redirect happens. Another override
    /// may be applied to a different request produced by a redirect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<HeaderEntry>>,
    /// If set, overrides response interception behavior for this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intercept_response: Option<bool>,
}

impl crate::Command for ContinueRequest {
    const METHOD: &'static str = "Fetch.continueRequest";
    type Response = crate::Nothing;
}

/// Enables issuing of requestPaused events. A request will be paused until client
/// calls one of failRequest, fulfillRequest or continueRequest/continueWithAuth.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enable {
    /// If specified, only requests matching any of these patterns will produce
    /// fetchRequested event and will be paused until clients response. If not set,
    /// all requests will be affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patterns: Option<Vec<RequestPattern>>,
    /// If true, authRequired events will be issued and requests will be paused
    /// expecting a call to continueWithAuth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle_auth_requests: Option<bool>,
}

impl crate::Command for Enable {
    const METHOD: &'static str = "Fetch.enable";
    type Response = crate::Nothing;
}

/// Causes the request to fail with specified reason.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailRequest {
    /// An id the client received in requestPaused event.
    pub request_id: RequestId,
    /// Causes the request to fail with the given reason.
    pub error_reason: super::network::ErrorReason,
}

impl crate::Command for FailRequest {
    const METHOD: &'static str = "Fetch.failRequest";
    type Response = crate::Nothing;
}

/// Issued when the domain is enabled and the request URL matches the
/// specified filter. The request is paused until the client responds
/// with one of continueRequest, failRequest or fulfillRequest.
/// The stage of the request can be determined by presence of responseErrorReason
/// and responseStatusCode -- the request is at the response stage if either
/// of these fields is present and in the request stage otherwise.
/// Redirect responses and subsequent requests are reported similarly to regular
/// responses and requests. Redirect responses may be distinguished by the value
/// of `responseStatusCode` (which is one of 301, 302, 303, 307, 308) along with
/// presence of the `location` header. Requests resulting from a redirect will
/// have `redirectedRequestId` field set.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestPaused {
    /// Each request the page makes will have a unique id.
    pub request_id: RequestId,
    /// The details of the request.
    pub request: super::network::Request,
    /// The id of the frame that initiated the request.
    pub frame_id: super::page::FrameId,
    /// How the requested resource will be used.
    pub resource_type: super::network::ResourceType,
    /// Response error if intercepted at response stage.
    pub response_error_reason: Option<super::network::ErrorReason>,
    /// Response code if intercepted at response stage.
    pub response_status_code: Option<i64>,
    /// Response status text if intercepted at response stage.
    pub response_status_text: Option<String>,
    /// Response headers if intercepted at the response stage.
    pub response_headers: Option<Vec<HeaderEntry>>,
    /// If the intercepted request had a corresponding Network.requestWillBeSent event fired for it,
    /// then this networkId will be the same as the requestId present in the requestWillBeSent event.
    pub network_id: Option<super::network::RequestId>,
    /// If the request is due to a redirect response from the server, the id of the request that
    /// has caused the redirect.
    pub redirected_request_id: Option<RequestId>,
}

impl crate::Event for RequestPaused {
    const METHOD: &'static str = "Fetch.requestPaused";
}

/// Response HTTP header entry
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeaderEntry {
    pub name: String,
    pub value: String,
}

/// Unique request identifier.
/// Note that this does not identify individual HTTP requests that are part of
/// a network request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub String);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestPattern {
    /// Wildcards (`'*'` -> zero or more, `'?'` -> exactly one) are allowed. Escape character is
    /// backslash. Omitting is equivalent to `"*"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_pattern: Option<String>,
    /// If set, only requests for matching resource types will be intercepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<super::network::ResourceType>,
    /// Stage at which to begin intercepting requests. Default is Request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_stage: Option<RequestStage>,
}

/// Stages of the request to handle. Request will intercept before the request is
/// sent. Response will intercept after the response is received (but before response
/// body is received).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestStage {
    #[serde(rename = "Request")]
    Request,
    #[serde(rename = "Response")]
    Response,
    #[serde(untagged)]
    Unlisted(String),
}
