//! `Network`: written by `cargo xtask cdp` from Chromium's description; do not edit.

use serde::{Deserialize, Serialize};

/// Enables network tracking, network events will now be delivered to the client.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enable {
    /// Buffer size in bytes to use when preserving network payloads (XHRs, etc).
    /// This is the maximum number of bytes that will be collected by this
    /// DevTools session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_total_buffer_size: Option<i64>,
    /// Per-resource buffer size in bytes to use when preserving network payloads (XHRs, etc).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_resource_buffer_size: Option<i64>,
    /// Longest post body size (in bytes) that would be included in requestWillBeSent notification
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_post_data_size: Option<i64>,
    /// Whether DirectSocket chunk send/receive events should be reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_direct_socket_traffic: Option<bool>,
    /// Enable storing response bodies outside of renderer, so that these survive
    /// a cross-process navigation. Requires maxTotalBufferSize to be set.
    /// Currently defaults to false. This field is being deprecated in favor of the dedicated
    /// configureDurableMessages command, due to the possibility of deadlocks when awaiting
    /// Network.enable before issuing Runtime.runIfWaitingForDebugger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_durable_messages: Option<bool>,
}

impl crate::Command for Enable {
    const METHOD: &'static str = "Network.enable";
    type Response = crate::Nothing;
}

/// Returns content served for the given request.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetResponseBody {
    /// Identifier of the network request to get content for.
    pub request_id: RequestId,
}

/// What `Network.getResponseBody` answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetResponseBodyResponse {
    /// Response body.
    pub body: String,
    /// True, if content was sent as base64.
    pub base64_encoded: bool,
}

impl crate::Command for GetResponseBody {
    const METHOD: &'static str = "Network.getResponseBody";
    type Response = GetResponseBodyResponse;
}

/// Fired when data chunk was received over the network.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataReceived {
    /// Request identifier.
    pub request_id: RequestId,
    /// Timestamp.
    pub timestamp: MonotonicTime,
    /// Data chunk length.
    pub data_length: i64,
    /// Actual bytes received (might be less than dataLength for compressed encodings).
    pub encoded_data_length: i64,
    /// Data that was received.
    pub data: Option<String>,
}

impl crate::Event for DataReceived {
    const METHOD: &'static str = "Network.dataReceived";
}

/// Fired when HTTP request has failed to load.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadingFailed {
    /// Request identifier.
    pub request_id: RequestId,
    /// Timestamp.
    pub timestamp: MonotonicTime,
    /// Resource type.
    pub r#type: ResourceType,
    /// Error message. List of network errors: https://cs.chromium.org/chromium/src/net/base/net_error_list.h
    pub error_text: String,
    /// True if loading was canceled.
    pub canceled: Option<bool>,
    /// The reason why loading was blocked, if any.
    pub blocked_reason: Option<BlockedReason>,
    /// The reason why loading was blocked by CORS, if any.
    pub cors_error_status: Option<CorsErrorStatus>,
}

impl crate::Event for LoadingFailed {
    const METHOD: &'static str = "Network.loadingFailed";
}

/// Fired when HTTP request has finished loading.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadingFinished {
    /// Request identifier.
    pub request_id: RequestId,
    /// Timestamp.
    pub timestamp: MonotonicTime,
    /// Total number of bytes received for this request.
    pub encoded_data_length: f64,
}

impl crate::Event for LoadingFinished {
    const METHOD: &'static str = "Network.loadingFinished";
}

/// Fired if request ended up loading from cache.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestServedFromCache {
    /// Request identifier.
    pub request_id: RequestId,
}

impl crate::Event for RequestServedFromCache {
    const METHOD: &'static str = "Network.requestServedFromCache";
}

/// Fired when page is about to send HTTP request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestWillBeSent {
    /// Request identifier.
    pub request_id: RequestId,
    /// Loader identifier. Empty string if the request is fetched from worker.
    pub loader_id: LoaderId,
    /// URL of the document this request is loaded for.
    #[serde(rename = "documentURL")]
    pub document_url: String,
    /// Request data.
    pub request: Request,
    /// Timestamp.
    pub timestamp: MonotonicTime,
    /// Timestamp.
    pub wall_time: TimeSinceEpoch,
    /// Request initiator.
    pub initiator: Initiator,
    /// In the case that redirectResponse is populated, this flag indicates whether
    /// requestWillBeSentExtraInfo and responseReceivedExtraInfo events will be or were emitted
    /// for the request which was just redirected.
    pub redirect_has_extra_info: bool,
    /// Redirect response data.
    pub redirect_response: Option<Response>,
    /// Type of this resource.
    pub r#type: Option<ResourceType>,
    /// Frame identifier.
    pub frame_id: Option<super::page::FrameId>,
    /// Whether the request is initiated by a user gesture. Defaults to false.
    pub has_user_gesture: Option<bool>,
    /// The render-blocking behavior of the request.
    pub render_blocking_behavior: Option<RenderBlockingBehavior>,
}

impl crate::Event for RequestWillBeSent {
    const METHOD: &'static str = "Network.requestWillBeSent";
}

/// Fired when additional information about a requestWillBeSent event is available from the
/// network stack. Not every requestWillBeSent event will have an additional
/// requestWillBeSentExtraInfo fired for it, and there is no guarantee whether requestWillBeSent
/// or requestWillBeSentExtraInfo will be fired first for the same request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestWillBeSentExtraInfo {
    /// Request identifier. Used to match this information to an existing requestWillBeSent event.
    pub request_id: RequestId,
    /// A list of cookies potentially associated to the requested URL. This includes both cookies sent with
    /// the request and the ones not sent; the latter are distinguished by having blockedReasons field set.
    pub associated_cookies: Vec<AssociatedCookie>,
    /// Raw request headers as they will be sent over the wire.
    pub headers: Headers,
    /// Connection timing information for the request.
    pub connect_timing: ConnectTiming,
    /// How the request site's device bound sessions were used during this request.
    pub device_bound_session_usages: Option<Vec<DeviceBoundSessionWithUsage>>,
    /// The client security state set for the request.
    pub client_security_state: Option<ClientSecurityState>,
    /// Whether the site has partitioned cookies stored in a partition different than the current one.
    pub site_has_cookie_in_other_partition: Option<bool>,
    /// The network conditions id if this request was affected by network conditions configured via
    /// emulateNetworkConditionsByRule.
    pub applied_network_conditions_id: Option<String>,
}

impl crate::Event for RequestWillBeSentExtraInfo {
    const METHOD: &'static str = "Network.requestWillBeSentExtraInfo";
}

/// Fired when HTTP response is available.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseReceived {
    /// Request identifier.
    pub request_id: RequestId,
    /// Loader identifier. Empty string if the request is fetched from worker.
    pub loader_id: LoaderId,
    /// Timestamp.
    pub timestamp: MonotonicTime,
    /// Resource type.
    pub r#type: ResourceType,
    /// Response data.
    pub response: Response,
    /// Indicates whether requestWillBeSentExtraInfo and responseReceivedExtraInfo events will be
    /// or were emitted for this request.
    pub has_extra_info: bool,
    /// Frame identifier.
    pub frame_id: Option<super::page::FrameId>,
}

impl crate::Event for ResponseReceived {
    const METHOD: &'static str = "Network.responseReceived";
}

/// Fired when additional information about a responseReceived event is available from the network
/// stack. Not every responseReceived event will have an additional responseReceivedExtraInfo for
/// it, and responseReceivedExtraInfo may be fired before or after responseReceived.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseReceivedExtraInfo {
    /// Request identifier. Used to match this information to another responseReceived event.
    pub request_id: RequestId,
    /// A list of cookies which were not stored from the response along with the corresponding
    /// reasons for blocking. The cookies here may not be valid due to syntax errors, which
    /// are represented by the invalid cookie line string instead of a proper cookie.
    pub blocked_cookies: Vec<BlockedSetCookieWithReason>,
    /// Raw response headers as they were received over the wire.
    /// Duplicate headers in the response are represented as a single key with their values
    /// concatentated using `\n` as the separator.
    /// See also `headersText` that contains verbatim text for HTTP/1.*.
    pub headers: Headers,
    /// The IP address space of the resource. The address space can only be determined once the transport
    /// established the connection, so we can't send it in `requestWillBeSentExtraInfo`.
    #[serde(rename = "resourceIPAddressSpace")]
    pub resource_ip_address_space: IPAddressSpace,
    /// The status code of the response. This is useful in cases the request failed and no responseReceived
    /// event is triggered, which is the case for, e.g., CORS errors. This is also the correct status code
    /// for cached requests, where the status in responseReceived is a 200 and this will be 304.
    pub status_code: i64,
    /// Raw response header text as it was received over the wire. The raw text may not always be
    /// available, such as in the case of HTTP/2 or QUIC.
    pub headers_text: Option<String>,
    /// The cookie partition key that will be used to store partitioned cookies set in this response.
    /// Only sent when partitioned cookies are enabled.
    pub cookie_partition_key: Option<CookiePartitionKey>,
    /// True if partitioned cookies are enabled, but the partition key is not serializable to string.
    pub cookie_partition_key_opaque: Option<bool>,
    /// A list of cookies which should have been blocked by 3PCD but are exempted and stored from
    /// the response with the corresponding reason.
    pub exempted_cookies: Option<Vec<ExemptedSetCookieWithReason>>,
}

impl crate::Event for ResponseReceivedExtraInfo {
    const METHOD: &'static str = "Network.responseReceivedExtraInfo";
}

/// Fired when WebSocket is closed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketClosed {
    /// Request identifier.
    pub request_id: RequestId,
    /// Timestamp.
    pub timestamp: MonotonicTime,
}

impl crate::Event for WebSocketClosed {
    const METHOD: &'static str = "Network.webSocketClosed";
}

/// Fired upon WebSocket creation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketCreated {
    /// Request identifier.
    pub request_id: RequestId,
    /// WebSocket request URL.
    pub url: String,
    /// Request initiator.
    pub initiator: Option<Initiator>,
}

impl crate::Event for WebSocketCreated {
    const METHOD: &'static str = "Network.webSocketCreated";
}

/// Fired when WebSocket message is received.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketFrameReceived {
    /// Request identifier.
    pub request_id: RequestId,
    /// Timestamp.
    pub timestamp: MonotonicTime,
    /// WebSocket response data.
    pub response: WebSocketFrame,
}

impl crate::Event for WebSocketFrameReceived {
    const METHOD: &'static str = "Network.webSocketFrameReceived";
}

/// Fired when WebSocket message is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketFrameSent {
    /// Request identifier.
    pub request_id: RequestId,
    /// Timestamp.
    pub timestamp: MonotonicTime,
    /// WebSocket response data.
    pub response: WebSocketFrame,
}

impl crate::Event for WebSocketFrameSent {
    const METHOD: &'static str = "Network.webSocketFrameSent";
}

/// Fired when WebSocket handshake response becomes available.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketHandshakeResponseReceived {
    /// Request identifier.
    pub request_id: RequestId,
    /// Timestamp.
    pub timestamp: MonotonicTime,
    /// WebSocket response data.
    pub response: WebSocketResponse,
}

impl crate::Event for WebSocketHandshakeResponseReceived {
    const METHOD: &'static str = "Network.webSocketHandshakeResponseReceived";
}

/// Fired when WebSocket is about to initiate handshake.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketWillSendHandshakeRequest {
    /// Request identifier.
    pub request_id: RequestId,
    /// Timestamp.
    pub timestamp: MonotonicTime,
    /// UTC Timestamp.
    pub wall_time: TimeSinceEpoch,
    /// WebSocket request data.
    pub request: WebSocketRequest,
}

impl crate::Event for WebSocketWillSendHandshakeRequest {
    const METHOD: &'static str = "Network.webSocketWillSendHandshakeRequest";
}

/// Encapsulates the script ancestry and the root script filter list rule that
/// caused the resource or element to be labeled as an ad.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdAncestry {
    /// A chain of `AdScriptIdentifier`s representing the ancestry of an ad
    /// script that led to the creation of a resource or element. The chain is
    /// ordered from the script itself (lowest level) up to its root ancestor
    /// that was flagged by a filter list.
    pub ancestry_chain: Vec<AdScriptIdentifier>,
    /// The filter list rule that caused the root (last) script in
    /// `ancestryChain` to be tagged as an ad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_script_filterlist_rule: Option<String>,
}

/// Represents the provenance of an ad resource or element. Only one of
/// `filterlistRule` or `adScriptAncestry` can be set. If `filterlistRule`
/// is provided, the resource URL directly matches a filter list rule. If
/// `adScriptAncestry` is provided, an ad script initiated the resource fetch or
/// appended the element to the DOM. If neither is provided, the entity is
/// known to be an ad, but provenance tracking information is unavailable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdProvenance {
    /// The filterlist rule that matched, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filterlist_rule: Option<String>,
    /// The script ancestry that created the ad, if any.
    /// Note: depending on the context, this may represent the full ancestry up
    /// to the root script, or it may contain only one script representing the
    /// immediate ancestor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_script_ancestry: Option<AdAncestry>,
}

/// Identifies the script on the stack that caused a resource or element to be
/// labeled as an ad. For resources, this indicates the context that triggered
/// the fetch. For elements, this indicates the context that caused the element
/// to be appended to the DOM.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdScriptIdentifier {
    /// The script's V8 identifier.
    pub script_id: super::runtime::ScriptId,
    /// V8's debugging ID for the v8::Context.
    pub debugger_id: super::runtime::UniqueDebuggerId,
    /// The script's url (or generated name based on id if inline script).
    pub name: String,
}

/// The reason why Chrome uses a specific transport protocol for HTTP semantics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlternateProtocolUsage {
    #[serde(rename = "alternativeJobWonWithoutRace")]
    AlternativeJobWonWithoutRace,
    #[serde(rename = "alternativeJobWonRace")]
    AlternativeJobWonRace,
    #[serde(rename = "mainJobWonRace")]
    MainJobWonRace,
    #[serde(rename = "mappingMissing")]
    MappingMissing,
    #[serde(rename = "broken")]
    Broken,
    #[serde(rename = "dnsAlpnH3JobWonWithoutRace")]
    DnsAlpnH3JobWonWithoutRace,
    #[serde(rename = "dnsAlpnH3JobWonRace")]
    DnsAlpnH3JobWonRace,
    #[serde(rename = "unspecifiedReason")]
    UnspecifiedReason,
    #[serde(untagged)]
    Unlisted(String),
}

/// A cookie associated with the request which may or may not be sent with it.
/// Includes the cookies itself and reasons for blocking or exemption.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssociatedCookie {
    /// The cookie object representing the cookie which was not sent.
    pub cookie: Cookie,
    /// The reason(s) the cookie was blocked. If empty means the cookie is included.
    pub blocked_reasons: Vec<CookieBlockedReason>,
    /// The reason the cookie should have been blocked by 3PCD but is exempted. A cookie could
    /// only have at most one exemption reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemption_reason: Option<CookieExemptionReason>,
}

/// The reason why request was blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockedReason {
    #[serde(rename = "other")]
    Other,
    #[serde(rename = "csp")]
    Csp,
    #[serde(rename = "mixed-content")]
    MixedContent,
    #[serde(rename = "origin")]
    Origin,
    #[serde(rename = "inspector")]
    Inspector,
    #[serde(rename = "integrity")]
    Integrity,
    #[serde(rename = "subresource-filter")]
    SubresourceFilter,
    #[serde(rename = "content-type")]
    ContentType,
    #[serde(rename = "coep-frame-resource-needs-coep-header")]
    CoepFrameResourceNeedsCoepHeader,
    #[serde(rename = "coop-sandboxed-iframe-cannot-navigate-to-coop-page")]
    CoopSandboxedIframeCannotNavigateToCoopPage,
    #[serde(rename = "corp-not-same-origin")]
    CorpNotSameOrigin,
    #[serde(rename = "corp-not-same-origin-after-defaulted-to-same-origin-by-coep")]
    CorpNotSameOriginAfterDefaultedToSameOriginByCoep,
    #[serde(rename = "corp-not-same-origin-after-defaulted-to-same-origin-by-dip")]
    CorpNotSameOriginAfterDefaultedToSameOriginByDip,
    #[serde(rename = "corp-not-same-origin-after-defaulted-to-same-origin-by-coep-and-dip")]
    CorpNotSameOriginAfterDefaultedToSameOriginByCoepAndDip,
    #[serde(rename = "corp-not-same-site")]
    CorpNotSameSite,
    #[serde(rename = "sri-message-signature-mismatch")]
    SriMessageSignatureMismatch,
    #[serde(untagged)]
    Unlisted(String),
}

/// A cookie which was not stored from a response with the corresponding reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedSetCookieWithReason {
    /// The reason(s) this cookie was blocked.
    pub blocked_reasons: Vec<SetCookieBlockedReason>,
    /// The string representing this individual cookie as it would appear in the header.
    /// This is not the entire "cookie" or "set-cookie" header which could have multiple cookies.
    pub cookie_line: String,
    /// The cookie object which represents the cookie which was not stored. It is optional because
    /// sometimes complete cookie information is not available, such as in the case of parsing
    /// errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<Cookie>,
}

/// Whether the request complied with Certificate Transparency policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateTransparencyCompliance {
    #[serde(rename = "unknown")]
    Unknown,
    #[serde(rename = "not-compliant")]
    NotCompliant,
    #[serde(rename = "compliant")]
    Compliant,
    #[serde(untagged)]
    Unlisted(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecurityState {
    pub initiator_is_secure_context: bool,
    #[serde(rename = "initiatorIPAddressSpace")]
    pub initiator_ip_address_space: IPAddressSpace,
    pub local_network_access_request_policy: LocalNetworkAccessRequestPolicy,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectTiming {
    /// Timing's requestTime is a baseline in seconds, while the other numbers are ticks in
    /// milliseconds relatively to this requestTime. Matches ResourceTiming's requestTime for
    /// the same request (but not for redirected requests).
    pub request_time: f64,
}

/// Cookie object
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// Cookie name.
    pub name: String,
    /// Cookie value.
    pub value: String,
    /// Cookie domain.
    pub domain: String,
    /// Cookie path.
    pub path: String,
    /// Cookie expiration date as the number of seconds since the UNIX epoch.
    /// The value is set to -1 if the expiry date is not set.
    /// The value can be null for values that cannot be represented in
    /// JSON (±Inf).
    pub expires: f64,
    /// Cookie size.
    pub size: i64,
    /// True if cookie is http-only.
    pub http_only: bool,
    /// True if cookie is secure.
    pub secure: bool,
    /// True in case of session cookie.
    pub session: bool,
    /// Cookie SameSite type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_site: Option<CookieSameSite>,
    /// Cookie Priority
    pub priority: CookiePriority,
    /// Cookie source scheme type.
    pub source_scheme: CookieSourceScheme,
    /// Cookie source port. Valid values are {-1, \[1, 65535\]}, -1 indicates an unspecified port.
    /// An unspecified port value allows protocol clients to emulate legacy cookie scope for the port.
    /// This is a temporary ability and it will be removed in the future.
    pub source_port: i64,
    /// Cookie partition key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<CookiePartitionKey>,
    /// True if cookie partition key is opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_key_opaque: Option<bool>,
}

/// Types of reasons why a cookie may not be sent with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CookieBlockedReason {
    #[serde(rename = "SecureOnly")]
    SecureOnly,
    #[serde(rename = "NotOnPath")]
    NotOnPath,
    #[serde(rename = "DomainMismatch")]
    DomainMismatch,
    #[serde(rename = "SameSiteStrict")]
    SameSiteStrict,
    #[serde(rename = "SameSiteLax")]
    SameSiteLax,
    #[serde(rename = "SameSiteUnspecifiedTreatedAsLax")]
    SameSiteUnspecifiedTreatedAsLax,
    #[serde(rename = "SameSiteNoneInsecure")]
    SameSiteNoneInsecure,
    #[serde(rename = "UserPreferences")]
    UserPreferences,
    #[serde(rename = "ThirdPartyPhaseout")]
    ThirdPartyPhaseout,
    #[serde(rename = "UnknownError")]
    UnknownError,
    #[serde(rename = "SchemefulSameSiteStrict")]
    SchemefulSameSiteStrict,
    #[serde(rename = "SchemefulSameSiteLax")]
    SchemefulSameSiteLax,
    #[serde(rename = "SchemefulSameSiteUnspecifiedTreatedAsLax")]
    SchemefulSameSiteUnspecifiedTreatedAsLax,
    #[serde(rename = "NameValuePairExceedsMaxSize")]
    NameValuePairExceedsMaxSize,
    #[serde(rename = "PortMismatch")]
    PortMismatch,
    #[serde(rename = "SchemeMismatch")]
    SchemeMismatch,
    #[serde(rename = "AnonymousContext")]
    AnonymousContext,
    #[serde(untagged)]
    Unlisted(String),
}

/// Types of reasons why a cookie should have been blocked by 3PCD but is exempted for the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CookieExemptionReason {
    #[serde(rename = "None")]
    None,
    #[serde(rename = "UserSetting")]
    UserSetting,
    #[serde(rename = "EnterprisePolicy")]
    EnterprisePolicy,
    #[serde(rename = "StorageAccess")]
    StorageAccess,
    #[serde(rename = "TopLevelStorageAccess")]
    TopLevelStorageAccess,
    #[serde(rename = "Scheme")]
    Scheme,
    #[serde(rename = "SameSiteNoneCookiesInSandbox")]
    SameSiteNoneCookiesInSandbox,
    #[serde(untagged)]
    Unlisted(String),
}

/// Cookie parameter object
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CookieParam {
    /// Cookie name.
    pub name: String,
    /// Cookie value.
    pub value: String,
    /// The request-URI to associate with the setting of the cookie. This value can affect the
    /// default domain, path, source port, and source scheme values of the created cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Cookie domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Cookie path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// True if cookie is secure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure: Option<bool>,
    /// True if cookie is http-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_only: Option<bool>,
    /// Cookie SameSite type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_site: Option<CookieSameSite>,
    /// Cookie expiration date, session cookie if not set
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<TimeSinceEpoch>,
    /// Cookie Priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<CookiePriority>,
    /// Cookie source scheme type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_scheme: Option<CookieSourceScheme>,
    /// Cookie source port. Valid values are {-1, \[1, 65535\]}, -1 indicates an unspecified port.
    /// An unspecified port value allows protocol clients to emulate legacy cookie scope for the port.
    /// This is a temporary ability and it will be removed in the future.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port: Option<i64>,
    /// Cookie partition key. If not set, the cookie will be set as not partitioned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<CookiePartitionKey>,
}

/// cookiePartitionKey object
/// The representation of the components of the key that are created by the cookiePartitionKey class contained in net/cookies/cookie_partition_key.h.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CookiePartitionKey {
    /// The site of the top-level URL the browser was visiting at the start
    /// of the request to the endpoint that set the cookie.
    pub top_level_site: String,
    /// Indicates if the cookie has any ancestors that are cross-site to the topLevelSite.
    pub has_cross_site_ancestor: bool,
}

/// Represents the cookie's 'Priority' status:
/// https://tools.ietf.org/html/draft-west-cookie-priority-00
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CookiePriority {
    #[serde(rename = "Low")]
    Low,
    #[serde(rename = "Medium")]
    Medium,
    #[serde(rename = "High")]
    High,
    #[serde(untagged)]
    Unlisted(String),
}

/// Represents the cookie's 'SameSite' status:
/// https://tools.ietf.org/html/draft-west-first-party-cookies
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CookieSameSite {
    #[serde(rename = "Strict")]
    Strict,
    #[serde(rename = "Lax")]
    Lax,
    #[serde(rename = "None")]
    None,
    #[serde(untagged)]
    Unlisted(String),
}

/// Represents the source scheme of the origin that originally set the cookie.
/// A value of "Unset" allows protocol clients to emulate legacy cookie scope for the scheme.
/// This is a temporary ability and it will be removed in the future.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CookieSourceScheme {
    #[serde(rename = "Unset")]
    Unset,
    #[serde(rename = "NonSecure")]
    NonSecure,
    #[serde(rename = "Secure")]
    Secure,
    #[serde(untagged)]
    Unlisted(String),
}

/// The reason why request was blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CorsError {
    #[serde(rename = "DisallowedByMode")]
    DisallowedByMode,
    #[serde(rename = "InvalidResponse")]
    InvalidResponse,
    #[serde(rename = "WildcardOriginNotAllowed")]
    WildcardOriginNotAllowed,
    #[serde(rename = "MissingAllowOriginHeader")]
    MissingAllowOriginHeader,
    #[serde(rename = "MultipleAllowOriginValues")]
    MultipleAllowOriginValues,
    #[serde(rename = "InvalidAllowOriginValue")]
    InvalidAllowOriginValue,
    #[serde(rename = "AllowOriginMismatch")]
    AllowOriginMismatch,
    #[serde(rename = "InvalidAllowCredentials")]
    InvalidAllowCredentials,
    #[serde(rename = "CorsDisabledScheme")]
    CorsDisabledScheme,
    #[serde(rename = "PreflightInvalidStatus")]
    PreflightInvalidStatus,
    #[serde(rename = "PreflightDisallowedRedirect")]
    PreflightDisallowedRedirect,
    #[serde(rename = "PreflightWildcardOriginNotAllowed")]
    PreflightWildcardOriginNotAllowed,
    #[serde(rename = "PreflightMissingAllowOriginHeader")]
    PreflightMissingAllowOriginHeader,
    #[serde(rename = "PreflightMultipleAllowOriginValues")]
    PreflightMultipleAllowOriginValues,
    #[serde(rename = "PreflightInvalidAllowOriginValue")]
    PreflightInvalidAllowOriginValue,
    #[serde(rename = "PreflightAllowOriginMismatch")]
    PreflightAllowOriginMismatch,
    #[serde(rename = "PreflightInvalidAllowCredentials")]
    PreflightInvalidAllowCredentials,
    #[serde(rename = "PreflightMissingAllowExternal")]
    PreflightMissingAllowExternal,
    #[serde(rename = "PreflightInvalidAllowExternal")]
    PreflightInvalidAllowExternal,
    #[serde(rename = "InvalidAllowMethodsPreflightResponse")]
    InvalidAllowMethodsPreflightResponse,
    #[serde(rename = "InvalidAllowHeadersPreflightResponse")]
    InvalidAllowHeadersPreflightResponse,
    #[serde(rename = "MethodDisallowedByPreflightResponse")]
    MethodDisallowedByPreflightResponse,
    #[serde(rename = "HeaderDisallowedByPreflightResponse")]
    HeaderDisallowedByPreflightResponse,
    #[serde(rename = "RedirectContainsCredentials")]
    RedirectContainsCredentials,
    #[serde(rename = "InsecureLocalNetwork")]
    InsecureLocalNetwork,
    #[serde(rename = "InvalidLocalNetworkAccess")]
    InvalidLocalNetworkAccess,
    #[serde(rename = "NoCorsRedirectModeNotFollow")]
    NoCorsRedirectModeNotFollow,
    #[serde(rename = "LocalNetworkAccessPermissionDenied")]
    LocalNetworkAccessPermissionDenied,
    #[serde(untagged)]
    Unlisted(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CorsErrorStatus {
    pub cors_error: CorsError,
    pub failed_parameter: String,
}

/// Unique identifier for a device bound session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceBoundSessionKey {
    /// The site the session is set up for.
    pub site: String,
    /// The id of the session.
    pub id: String,
}

/// How a device bound session was used during a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceBoundSessionWithUsage {
    /// The key for the session.
    pub session_key: DeviceBoundSessionKey,
    /// How the session was used (or not used).
    pub usage: DeviceBoundSessionWithUsageUsage,
}

/// How the session was used (or not used).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceBoundSessionWithUsageUsage {
    #[serde(rename = "NotInScope")]
    NotInScope,
    #[serde(rename = "InScopeRefreshNotYetNeeded")]
    InScopeRefreshNotYetNeeded,
    #[serde(rename = "InScopeRefreshNotAllowed")]
    InScopeRefreshNotAllowed,
    #[serde(rename = "ProactiveRefreshNotPossible")]
    ProactiveRefreshNotPossible,
    #[serde(rename = "ProactiveRefreshAttempted")]
    ProactiveRefreshAttempted,
    #[serde(rename = "Deferred")]
    Deferred,
    #[serde(untagged)]
    Unlisted(String),
}

/// Network level fetch failure reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorReason {
    #[serde(rename = "Failed")]
    Failed,
    #[serde(rename = "Aborted")]
    Aborted,
    #[serde(rename = "TimedOut")]
    TimedOut,
    #[serde(rename = "AccessDenied")]
    AccessDenied,
    #[serde(rename = "ConnectionClosed")]
    ConnectionClosed,
    #[serde(rename = "ConnectionReset")]
    ConnectionReset,
    #[serde(rename = "ConnectionRefused")]
    ConnectionRefused,
    #[serde(rename = "ConnectionAborted")]
    ConnectionAborted,
    #[serde(rename = "ConnectionFailed")]
    ConnectionFailed,
    #[serde(rename = "NameNotResolved")]
    NameNotResolved,
    #[serde(rename = "InternetDisconnected")]
    InternetDisconnected,
    #[serde(rename = "AddressUnreachable")]
    AddressUnreachable,
    #[serde(rename = "BlockedByClient")]
    BlockedByClient,
    #[serde(rename = "BlockedByResponse")]
    BlockedByResponse,
    #[serde(untagged)]
    Unlisted(String),
}

/// A cookie should have been blocked by 3PCD but is exempted and stored from a response with the
/// corresponding reason. A cookie could only have at most one exemption reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExemptedSetCookieWithReason {
    /// The reason the cookie was exempted.
    pub exemption_reason: CookieExemptionReason,
    /// The string representing this individual cookie as it would appear in the header.
    pub cookie_line: String,
    /// The cookie object representing the cookie.
    pub cookie: Cookie,
}

/// Request / response headers as keys / values of JSON object.
pub type Headers = serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IPAddressSpace {
    #[serde(rename = "Loopback")]
    Loopback,
    #[serde(rename = "Local")]
    Local,
    #[serde(rename = "Public")]
    Public,
    #[serde(rename = "Unknown")]
    Unknown,
    #[serde(untagged)]
    Unlisted(String),
}

/// Information about the request initiator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Initiator {
    /// Type of this initiator.
    pub r#type: InitiatorType,
    /// Initiator URL, set for Parser type or for Script type (when script is importing module) or for SignedExchange type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Initiator line number, set for Parser type or for Script type (when script is importing
    /// module) (0-based).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_number: Option<f64>,
    /// Initiator column number, set for Parser type or for Script type (when script is importing
    /// module) (0-based).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column_number: Option<f64>,
    /// Set if another request triggered this request (e.g. preflight).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// Type of this initiator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InitiatorType {
    #[serde(rename = "parser")]
    Parser,
    #[serde(rename = "script")]
    Script,
    #[serde(rename = "preload")]
    Preload,
    #[serde(rename = "SignedExchange")]
    SignedExchange,
    #[serde(rename = "preflight")]
    Preflight,
    #[serde(rename = "FedCM")]
    FedCM,
    #[serde(rename = "other")]
    Other,
    #[serde(untagged)]
    Unlisted(String),
}

/// Unique loader identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoaderId(pub String);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LocalNetworkAccessRequestPolicy {
    #[serde(rename = "Allow")]
    Allow,
    #[serde(rename = "BlockFromInsecureToMorePrivate")]
    BlockFromInsecureToMorePrivate,
    #[serde(rename = "WarnFromInsecureToMorePrivate")]
    WarnFromInsecureToMorePrivate,
    #[serde(rename = "PermissionBlock")]
    PermissionBlock,
    #[serde(rename = "PermissionWarn")]
    PermissionWarn,
    #[serde(untagged)]
    Unlisted(String),
}

/// Monotonically increasing time in seconds since an arbitrary point in the past.
pub type MonotonicTime = f64;

/// Post data entry for HTTP request
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PostDataEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
}

/// The render-blocking behavior of a resource request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RenderBlockingBehavior {
    #[serde(rename = "Blocking")]
    Blocking,
    #[serde(rename = "InBodyParserBlocking")]
    InBodyParserBlocking,
    #[serde(rename = "NonBlocking")]
    NonBlocking,
    #[serde(rename = "NonBlockingDynamic")]
    NonBlockingDynamic,
    #[serde(rename = "PotentiallyBlocking")]
    PotentiallyBlocking,
    #[serde(untagged)]
    Unlisted(String),
}

/// HTTP request data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Request URL (without fragment).
    pub url: String,
    /// Fragment of the requested URL starting with hash, if present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_fragment: Option<String>,
    /// HTTP request method.
    pub method: String,
    /// HTTP request headers.
    pub headers: Headers,
    /// True when the request has POST data. Note that postData might still be omitted when this flag is true when the data is too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_post_data: Option<bool>,
    /// Request body elements (post data broken into individual entries).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_data_entries: Option<Vec<PostDataEntry>>,
    /// The mixed content type of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed_content_type: Option<super::security::MixedContentType>,
    /// Priority of the resource request at the time request is sent.
    pub initial_priority: ResourcePriority,
    /// The referrer policy of the request, as defined in https://www.w3.org/TR/referrer-policy/
    pub referrer_policy: RequestReferrerPolicy,
    /// Whether is loaded via link preload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_link_preload: Option<bool>,
    /// Set for requests when the TrustToken API is used. Contains the parameters
    /// passed by the developer (e.g. via "fetch") as understood by the backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_token_params: Option<TrustTokenParams>,
    /// True if this resource request is considered to be the 'same site' as the
    /// request corresponding to the main frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_same_site: Option<bool>,
    /// True when the resource request is ad-related.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_ad_related: Option<bool>,
}

/// The referrer policy of the request, as defined in https://www.w3.org/TR/referrer-policy/
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestReferrerPolicy {
    #[serde(rename = "unsafe-url")]
    UnsafeUrl,
    #[serde(rename = "no-referrer-when-downgrade")]
    NoReferrerWhenDowngrade,
    #[serde(rename = "no-referrer")]
    NoReferrer,
    #[serde(rename = "origin")]
    Origin,
    #[serde(rename = "origin-when-cross-origin")]
    OriginWhenCrossOrigin,
    #[serde(rename = "same-origin")]
    SameOrigin,
    #[serde(rename = "strict-origin")]
    StrictOrigin,
    #[serde(rename = "strict-origin-when-cross-origin")]
    StrictOriginWhenCrossOrigin,
    #[serde(untagged)]
    Unlisted(String),
}

/// Unique network request identifier.
/// Note that this does not identify individual HTTP requests that are part of
/// a network request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub String);

/// Loading priority of a resource request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourcePriority {
    #[serde(rename = "VeryLow")]
    VeryLow,
    #[serde(rename = "Low")]
    Low,
    #[serde(rename = "Medium")]
    Medium,
    #[serde(rename = "High")]
    High,
    #[serde(rename = "VeryHigh")]
    VeryHigh,
    #[serde(untagged)]
    Unlisted(String),
}

/// Timing information for the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTiming {
    /// Timing's requestTime is a baseline in seconds, while the other numbers are ticks in
    /// milliseconds relatively to this requestTime.
    pub request_time: f64,
    /// Started resolving proxy.
    pub proxy_start: f64,
    /// Finished resolving proxy.
    pub proxy_end: f64,
    /// Started DNS address resolve.
    pub dns_start: f64,
    /// Finished DNS address resolve.
    pub dns_end: f64,
    /// Started connecting to the remote host.
    pub connect_start: f64,
    /// Connected to the remote host.
    pub connect_end: f64,
    /// Started SSL handshake.
    pub ssl_start: f64,
    /// Finished SSL handshake.
    pub ssl_end: f64,
    /// Started running ServiceWorker.
    pub worker_start: f64,
    /// Finished Starting ServiceWorker.
    pub worker_ready: f64,
    /// Started fetch event.
    pub worker_fetch_start: f64,
    /// Settled fetch event respondWith promise.
    pub worker_respond_with_settled: f64,
    /// Started ServiceWorker static routing source evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_router_evaluation_start: Option<f64>,
    /// Started cache lookup when the source was evaluated to `cache`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_cache_lookup_start: Option<f64>,
    /// Started sending request.
    pub send_start: f64,
    /// Finished sending request.
    pub send_end: f64,
    /// Time the server started pushing request.
    pub push_start: f64,
    /// Time the server finished pushing request.
    pub push_end: f64,
    /// Started receiving response headers.
    pub receive_headers_start: f64,
    /// Finished receiving response headers.
    pub receive_headers_end: f64,
}

/// Resource type as it was perceived by the rendering engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourceType {
    #[serde(rename = "Document")]
    Document,
    #[serde(rename = "Stylesheet")]
    Stylesheet,
    #[serde(rename = "Image")]
    Image,
    #[serde(rename = "Media")]
    Media,
    #[serde(rename = "Font")]
    Font,
    #[serde(rename = "Script")]
    Script,
    #[serde(rename = "TextTrack")]
    TextTrack,
    #[serde(rename = "XHR")]
    XHR,
    #[serde(rename = "Fetch")]
    Fetch,
    #[serde(rename = "Prefetch")]
    Prefetch,
    #[serde(rename = "EventSource")]
    EventSource,
    #[serde(rename = "WebSocket")]
    WebSocket,
    #[serde(rename = "Manifest")]
    Manifest,
    #[serde(rename = "SignedExchange")]
    SignedExchange,
    #[serde(rename = "Ping")]
    Ping,
    #[serde(rename = "CSPViolationReport")]
    CSPViolationReport,
    #[serde(rename = "Preflight")]
    Preflight,
    #[serde(rename = "FedCM")]
    FedCM,
    #[serde(rename = "Other")]
    Other,
    #[serde(untagged)]
    Unlisted(String),
}

/// HTTP response data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// Response URL. This URL can be different from CachedResource.url in case of redirect.
    pub url: String,
    /// HTTP response status code.
    pub status: i64,
    /// HTTP response status text.
    pub status_text: String,
    /// HTTP response headers.
    pub headers: Headers,
    /// Resource mimeType as determined by the browser.
    pub mime_type: String,
    /// Resource charset as determined by the browser (if applicable).
    pub charset: String,
    /// Refined HTTP request headers that were actually transmitted over the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<Headers>,
    /// Specifies whether physical connection was actually reused for this request.
    pub connection_reused: bool,
    /// Physical connection id that was actually used for this request.
    pub connection_id: f64,
    /// Remote IP address.
    #[serde(rename = "remoteIPAddress", skip_serializing_if = "Option::is_none")]
    pub remote_ip_address: Option<String>,
    /// Remote port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_port: Option<i64>,
    /// Specifies that the request was served from the disk cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_disk_cache: Option<bool>,
    /// Specifies that the request was served from the ServiceWorker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_service_worker: Option<bool>,
    /// Specifies that the request was served from the prefetch cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_prefetch_cache: Option<bool>,
    /// Specifies that the request was served from the prefetch cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_early_hints: Option<bool>,
    /// Information about how ServiceWorker Static Router API was used. If this
    /// field is set with `matchedSourceType` field, a matching rule is found.
    /// If this field is set without `matchedSource`, no matching rule is found.
    /// Otherwise, the API is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_worker_router_info: Option<ServiceWorkerRouterInfo>,
    /// Total number of bytes received for this request so far.
    pub encoded_data_length: f64,
    /// Timing information for the given request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timing: Option<ResourceTiming>,
    /// Response source of response from ServiceWorker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_worker_response_source: Option<ServiceWorkerResponseSource>,
    /// The time at which the returned response was generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_time: Option<TimeSinceEpoch>,
    /// Cache Storage Cache Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_storage_cache_name: Option<String>,
    /// Protocol used to fetch this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The reason why Chrome uses a specific transport protocol for HTTP semantics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternate_protocol_usage: Option<AlternateProtocolUsage>,
    /// Security state of the request resource.
    pub security_state: super::security::SecurityState,
    /// Security details for the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_details: Option<SecurityDetails>,
}

/// Security details about a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityDetails {
    /// Protocol name (e.g. "TLS 1.2" or "QUIC").
    pub protocol: String,
    /// Key Exchange used by the connection, or the empty string if not applicable.
    pub key_exchange: String,
    /// (EC)DH group used by the connection, if applicable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_exchange_group: Option<String>,
    /// Cipher name.
    pub cipher: String,
    /// TLS MAC. Note that AEAD ciphers do not have separate MACs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Certificate ID value.
    pub certificate_id: super::security::CertificateId,
    /// Certificate subject name.
    pub subject_name: String,
    /// Subject Alternative Name (SAN) DNS names and IP addresses.
    pub san_list: Vec<String>,
    /// Name of the issuing CA.
    pub issuer: String,
    /// Certificate valid from date.
    pub valid_from: TimeSinceEpoch,
    /// Certificate valid to (expiration) date
    pub valid_to: TimeSinceEpoch,
    /// List of signed certificate timestamps (SCTs).
    pub signed_certificate_timestamp_list: Vec<SignedCertificateTimestamp>,
    /// Whether the request complied with Certificate Transparency policy
    pub certificate_transparency_compliance: CertificateTransparencyCompliance,
    /// The signature algorithm used by the server in the TLS server signature,
    /// represented as a TLS SignatureScheme code point. Omitted if not
    /// applicable or not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_signature_algorithm: Option<i64>,
    /// Whether the connection used Encrypted ClientHello
    pub encrypted_client_hello: bool,
}

/// Source of serviceworker response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceWorkerResponseSource {
    #[serde(rename = "cache-storage")]
    CacheStorage,
    #[serde(rename = "http-cache")]
    HttpCache,
    #[serde(rename = "fallback-code")]
    FallbackCode,
    #[serde(rename = "network")]
    Network,
    #[serde(untagged)]
    Unlisted(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceWorkerRouterInfo {
    /// ID of the rule matched. If there is a matched rule, this field will
    /// be set, otherwiser no value will be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_id_matched: Option<i64>,
    /// The router source of the matched rule. If there is a matched rule, this
    /// field will be set, otherwise no value will be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched_source_type: Option<ServiceWorkerRouterSource>,
    /// The actual router source used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_source_type: Option<ServiceWorkerRouterSource>,
}

/// Source of service worker router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceWorkerRouterSource {
    #[serde(rename = "network")]
    Network,
    #[serde(rename = "cache")]
    Cache,
    #[serde(rename = "fetch-event")]
    FetchEvent,
    #[serde(rename = "race-network-and-fetch-handler")]
    RaceNetworkAndFetchHandler,
    #[serde(rename = "race-network-and-cache")]
    RaceNetworkAndCache,
    #[serde(untagged)]
    Unlisted(String),
}

/// Types of reasons why a cookie may not be stored from a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetCookieBlockedReason {
    #[serde(rename = "SecureOnly")]
    SecureOnly,
    #[serde(rename = "SameSiteStrict")]
    SameSiteStrict,
    #[serde(rename = "SameSiteLax")]
    SameSiteLax,
    #[serde(rename = "SameSiteUnspecifiedTreatedAsLax")]
    SameSiteUnspecifiedTreatedAsLax,
    #[serde(rename = "SameSiteNoneInsecure")]
    SameSiteNoneInsecure,
    #[serde(rename = "UserPreferences")]
    UserPreferences,
    #[serde(rename = "ThirdPartyPhaseout")]
    ThirdPartyPhaseout,
    #[serde(rename = "SyntaxError")]
    SyntaxError,
    #[serde(rename = "SchemeNotSupported")]
    SchemeNotSupported,
    #[serde(rename = "OverwriteSecure")]
    OverwriteSecure,
    #[serde(rename = "InvalidDomain")]
    InvalidDomain,
    #[serde(rename = "InvalidPrefix")]
    InvalidPrefix,
    #[serde(rename = "UnknownError")]
    UnknownError,
    #[serde(rename = "SchemefulSameSiteStrict")]
    SchemefulSameSiteStrict,
    #[serde(rename = "SchemefulSameSiteLax")]
    SchemefulSameSiteLax,
    #[serde(rename = "SchemefulSameSiteUnspecifiedTreatedAsLax")]
    SchemefulSameSiteUnspecifiedTreatedAsLax,
    #[serde(rename = "NameValuePairExceedsMaxSize")]
    NameValuePairExceedsMaxSize,
    #[serde(rename = "DisallowedCharacter")]
    DisallowedCharacter,
    #[serde(rename = "NoCookieContent")]
    NoCookieContent,
    #[serde(untagged)]
    Unlisted(String),
}

/// Details of a signed certificate timestamp (SCT).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedCertificateTimestamp {
    /// Validation status.
    pub status: String,
    /// Origin.
    pub origin: String,
    /// Log name / description.
    pub log_description: String,
    /// Log ID.
    pub log_id: String,
    /// Issuance date. Unlike TimeSinceEpoch, this contains the number of
    /// milliseconds since January 1, 1970, UTC, not the number of seconds.
    pub timestamp: f64,
    /// Hash algorithm.
    pub hash_algorithm: String,
    /// Signature algorithm.
    pub signature_algorithm: String,
    /// Signature data.
    pub signature_data: String,
}

/// UTC time in seconds, counted from January 1, 1970.
pub type TimeSinceEpoch = f64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustTokenOperationType {
    #[serde(rename = "Issuance")]
    Issuance,
    #[serde(rename = "Redemption")]
    Redemption,
    #[serde(rename = "Signing")]
    Signing,
    #[serde(untagged)]
    Unlisted(String),
}

/// Determines what type of Trust Token operation is executed and
/// depending on the type, some additional parameters. The values
/// are specified in third_party/blink/renderer/core/fetch/trust_token.idl.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustTokenParams {
    pub operation: TrustTokenOperationType,
    /// Only set for "token-redemption" operation and determine whether
    /// to request a fresh SRR or use a still valid cached SRR.
    pub refresh_policy: TrustTokenParamsRefreshPolicy,
    /// Origins of issuers from whom to request tokens or redemption
    /// records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuers: Option<Vec<String>>,
}

/// Only set for "token-redemption" operation and determine whether
/// to request a fresh SRR or use a still valid cached SRR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustTokenParamsRefreshPolicy {
    #[serde(rename = "UseCached")]
    UseCached,
    #[serde(rename = "Refresh")]
    Refresh,
    #[serde(untagged)]
    Unlisted(String),
}

/// WebSocket message data. This represents an entire WebSocket message, not just a fragmented frame as the name suggests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketFrame {
    /// WebSocket message opcode.
    pub opcode: f64,
    /// WebSocket message mask.
    pub mask: bool,
    /// WebSocket message payload data.
    /// If the opcode is 1, this is a text message and payloadData is a UTF-8 string.
    /// If the opcode isn't 1, then payloadData is a base64 encoded string representing binary data.
    pub payload_data: String,
}

/// WebSocket request data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebSocketRequest {
    /// HTTP request headers.
    pub headers: Headers,
}

/// WebSocket response data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebSocketResponse {
    /// HTTP response status code.
    pub status: i64,
    /// HTTP response status text.
    pub status_text: String,
    /// HTTP response headers.
    pub headers: Headers,
    /// HTTP response headers text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_text: Option<String>,
    /// HTTP request headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<Headers>,
    /// HTTP request headers text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers_text: Option<String>,
}
