//! `Page`: written by `cargo xtask cdp` from Chromium's description; do not edit.

use serde::{Deserialize, Serialize};

/// Evaluates given script in every frame upon creation (before loading frame's scripts).
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddScriptToEvaluateOnNewDocument {
    pub source: String,
    /// If specified, creates an isolated world with the given name and evaluates given script in it.
    /// This world name will be used as the ExecutionContextDescription::name when the corresponding
    /// event is emitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world_name: Option<String>,
    /// Specifies whether command line API should be available to the script, defaults
    /// to false.
    #[serde(rename = "includeCommandLineAPI", skip_serializing_if = "Option::is_none")]
    pub include_command_line_api: Option<bool>,
    /// If true, runs the script immediately on existing execution contexts or worlds.
    /// Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_immediately: Option<bool>,
}

/// What `Page.addScriptToEvaluateOnNewDocument` answers.
#[derive(Clone, Debug, Deserialize)]
pub struct AddScriptToEvaluateOnNewDocumentResponse {
    /// Identifier of the added script.
    pub identifier: ScriptIdentifier,
}

impl crate::Command for AddScriptToEvaluateOnNewDocument {
    const METHOD: &'static str = "Page.addScriptToEvaluateOnNewDocument";
    type Response = AddScriptToEvaluateOnNewDocumentResponse;
}

/// Brings page to front (activates tab).
#[derive(Clone, Debug, Default, Serialize)]
pub struct BringToFront {}

impl crate::Command for BringToFront {
    const METHOD: &'static str = "Page.bringToFront";
    type Response = crate::Nothing;
}

/// Capture page screenshot.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaptureScreenshot {
    /// Image compression format (defaults to png).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<CaptureScreenshotFormat>,
    /// Compression quality from range \[0..100\] (jpeg only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<i64>,
    /// Capture the screenshot of a given region only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<Viewport>,
    /// Capture the screenshot from the surface, rather than the view. Defaults to true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_surface: Option<bool>,
    /// Capture the screenshot beyond the viewport. Defaults to false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture_beyond_viewport: Option<bool>,
    /// Optimize image encoding for speed, not for resulting size (defaults to false)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimize_for_speed: Option<bool>,
}

/// What `Page.captureScreenshot` answers.
#[derive(Clone, Debug, Deserialize)]
pub struct CaptureScreenshotResponse {
    /// Base64-encoded image data.
    pub data: String,
}

impl crate::Command for CaptureScreenshot {
    const METHOD: &'static str = "Page.captureScreenshot";
    type Response = CaptureScreenshotResponse;
}

/// Tries to close page, running its beforeunload hooks, if any.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Close {}

impl crate::Command for Close {
    const METHOD: &'static str = "Page.close";
    type Response = crate::Nothing;
}

/// Creates an isolated world for the given frame.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateIsolatedWorld {
    /// Id of the frame in which the isolated world should be created.
    pub frame_id: FrameId,
    /// An optional name which is reported in the Execution Context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub world_name: Option<String>,
    /// Whether or not universal access should be granted to the isolated world. This is a powerful
    /// option, use with caution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_univeral_access: Option<bool>,
    /// An optional content security policy to set for the isolated world.
    /// If omitted, any existing CSP for the world will be cleared.
    /// Note that clearing or updating the CSP does not immediately affect the active
    /// context in the same document because LocalDOMWindow caches the
    /// ContentSecurityPolicy object. The change takes effect on subsequent
    /// navigations when a new window context is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_security_policy: Option<String>,
}

/// What `Page.createIsolatedWorld` answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateIsolatedWorldResponse {
    /// Execution context of the isolated world.
    pub execution_context_id: super::runtime::ExecutionContextId,
}

impl crate::Command for CreateIsolatedWorld {
    const METHOD: &'static str = "Page.createIsolatedWorld";
    type Response = CreateIsolatedWorldResponse;
}

/// Enables page domain notifications.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enable {
    /// If true, the `Page.fileChooserOpened` event will be emitted regardless of the state set by
    /// `Page.setInterceptFileChooserDialog` command (default: false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_file_chooser_opened_event: Option<bool>,
}

impl crate::Command for Enable {
    const METHOD: &'static str = "Page.enable";
    type Response = crate::Nothing;
}

/// Returns present frame tree structure.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GetFrameTree {}

/// What `Page.getFrameTree` answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetFrameTreeResponse {
    /// Present frame tree structure.
    pub frame_tree: FrameTree,
}

impl crate::Command for GetFrameTree {
    const METHOD: &'static str = "Page.getFrameTree";
    type Response = GetFrameTreeResponse;
}

/// Returns metrics relating to the layouting of the page, such as viewport bounds/scale.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GetLayoutMetrics {}

/// What `Page.getLayoutMetrics` answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetLayoutMetricsResponse {
    /// Metrics relating to the layout viewport in CSS pixels.
    pub css_layout_viewport: LayoutViewport,
    /// Metrics relating to the visual viewport in CSS pixels.
    pub css_visual_viewport: VisualViewport,
    /// Size of scrollable area in CSS pixels.
    pub css_content_size: super::dom::Rect,
}

impl crate::Command for GetLayoutMetrics {
    const METHOD: &'static str = "Page.getLayoutMetrics";
    type Response = GetLayoutMetricsResponse;
}

/// Returns navigation history for the current page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GetNavigationHistory {}

/// What `Page.getNavigationHistory` answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetNavigationHistoryResponse {
    /// Index of the current navigation history entry.
    pub current_index: i64,
    /// Array of navigation history entries.
    pub entries: Vec<NavigationEntry>,
}

impl crate::Command for GetNavigationHistory {
    const METHOD: &'static str = "Page.getNavigationHistory";
    type Response = GetNavigationHistoryResponse;
}

/// Accepts or dismisses a JavaScript initiated dialog (alert, confirm, prompt, or onbeforeunload).
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HandleJavaScriptDialog {
    /// Whether to accept or dismiss the dialog.
    pub accept: bool,
    /// The text to enter into the dialog prompt before accepting. Used only if this is a prompt
    /// dialog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_text: Option<String>,
}

impl crate::Command for HandleJavaScriptDialog {
    const METHOD: &'static str = "Page.handleJavaScriptDialog";
    type Response = crate::Nothing;
}

/// Navigates current page to the given URL.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Navigate {
    /// URL to navigate the page to.
    pub url: String,
    /// Referrer URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
    /// Intended transition type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transition_type: Option<TransitionType>,
    /// Frame id to navigate, if not specified navigates the top frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_id: Option<FrameId>,
    /// Referrer-policy used for the navigation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer_policy: Option<ReferrerPolicy>,
}

/// What `Page.navigate` answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NavigateResponse {
    /// Frame id that has navigated (or failed to navigate)
    pub frame_id: FrameId,
    /// Loader identifier. This is omitted in case of same-document navigation,
    /// as the previously committed loaderId would not change.
    pub loader_id: Option<super::network::LoaderId>,
    /// User friendly error message, present if and only if navigation has failed.
    pub error_text: Option<String>,
    /// Whether the navigation resulted in a download.
    pub is_download: Option<bool>,
}

impl crate::Command for Navigate {
    const METHOD: &'static str = "Page.navigate";
    type Response = NavigateResponse;
}

/// Navigates current page to the given history entry.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NavigateToHistoryEntry {
    /// Unique id of the entry to navigate to.
    pub entry_id: i64,
}

impl crate::Command for NavigateToHistoryEntry {
    const METHOD: &'static str = "Page.navigateToHistoryEntry";
    type Response = crate::Nothing;
}

/// Reloads given page optionally ignoring the cache.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reload {
    /// If true, browser cache is ignored (as if the user pressed Shift+refresh).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_cache: Option<bool>,
    /// If set, the script will be injected into all frames of the inspected page after reload.
    /// Argument will be ignored if reloading dataURL origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_to_evaluate_on_load: Option<String>,
    /// If set, an error will be thrown if the target page's main frame's
    /// loader id does not match the provided id. This prevents accidentally
    /// reloading an unintended target in case there's a racing navigation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loader_id: Option<super::network::LoaderId>,
}

impl crate::Command for Reload {
    const METHOD: &'static str = "Page.reload";
    type Response = crate::Nothing;
}

/// Acknowledges that a screencast frame has been received by the frontend.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScreencastFrameAck {
    /// Frame number.
    pub session_id: i64,
}

impl crate::Command for ScreencastFrameAck {
    const METHOD: &'static str = "Page.screencastFrameAck";
    type Response = crate::Nothing;
}

/// Intercept file chooser requests and transfer control to protocol clients.
/// When file chooser interception is enabled, native file chooser dialog is not shown.
/// Instead, a protocol event `Page.fileChooserOpened` is emitted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SetInterceptFileChooserDialog {
    pub enabled: bool,
    /// If true, cancels the dialog by emitting relevant events (if any)
    /// in addition to not showing it if the interception is enabled
    /// (default: false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<bool>,
}

impl crate::Command for SetInterceptFileChooserDialog {
    const METHOD: &'static str = "Page.setInterceptFileChooserDialog";
    type Response = crate::Nothing;
}

/// Starts sending each frame using the `screencastFrame` event.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartScreencast {
    /// Image compression format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<StartScreencastFormat>,
    /// Compression quality from range \[0..100\].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<i64>,
    /// Maximum screenshot width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_width: Option<i64>,
    /// Maximum screenshot height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_height: Option<i64>,
    /// Send every n-th frame. Must be a positive integer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_nth_frame: Option<i64>,
    /// Maximum number of frames sent until screencastFrameAck is required.
    /// Defaults to 3. Must be a positive integer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_frames_in_flight: Option<i64>,
    /// By default, after screencastFrameAck arrives, the next produced frame is sent.
    /// Passing this flag enables storing the last produced frame in memory, which is
    /// immediately sent upon screencastFrameAck. This way, overall performance is
    /// traded for a better latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_last_frame: Option<bool>,
}

impl crate::Command for StartScreencast {
    const METHOD: &'static str = "Page.startScreencast";
    type Response = crate::Nothing;
}

/// Force the page stop all navigations and pending resource fetches.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StopLoading {}

impl crate::Command for StopLoading {
    const METHOD: &'static str = "Page.stopLoading";
    type Response = crate::Nothing;
}

/// Stops sending each frame in the `screencastFrame`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StopScreencast {}

impl crate::Command for StopScreencast {
    const METHOD: &'static str = "Page.stopScreencast";
    type Response = crate::Nothing;
}

/// Fired when download makes progress. Last call has |done| == true.
/// Deprecated. Use Browser.downloadProgress instead.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadProgress {
    /// Global unique identifier of the download.
    pub guid: String,
    /// Total expected bytes to download.
    pub total_bytes: f64,
    /// Total bytes received.
    pub received_bytes: f64,
    /// Download status.
    pub state: DownloadProgressState,
}

impl crate::Event for DownloadProgress {
    const METHOD: &'static str = "Page.downloadProgress";
}

/// Fired when page is about to start a download.
/// Deprecated. Use Browser.downloadWillBegin instead.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadWillBegin {
    /// Id of the frame that caused download to begin.
    pub frame_id: FrameId,
    /// Global unique identifier of the download.
    pub guid: String,
    /// URL of the resource being downloaded.
    pub url: String,
    /// Suggested file name of the resource (the actual name of the file saved on disk may differ).
    pub suggested_filename: String,
}

impl crate::Event for DownloadWillBegin {
    const METHOD: &'static str = "Page.downloadWillBegin";
}

/// Emitted only when `page.interceptFileChooser` is enabled.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileChooserOpened {
    /// Id of the frame containing input node.
    pub frame_id: FrameId,
    /// Input mode.
    pub mode: FileChooserOpenedMode,
    /// Input node id. Only present for file choosers opened via an `<input type="file">` element.
    pub backend_node_id: Option<super::dom::BackendNodeId>,
}

impl crate::Event for FileChooserOpened {
    const METHOD: &'static str = "Page.fileChooserOpened";
}

/// Fired when frame has been attached to its parent.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameAttached {
    /// Id of the frame that has been attached.
    pub frame_id: FrameId,
    /// Parent frame identifier.
    pub parent_frame_id: FrameId,
}

impl crate::Event for FrameAttached {
    const METHOD: &'static str = "Page.frameAttached";
}

/// Fired when frame has been detached from its parent.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameDetached {
    /// Id of the frame that has been detached.
    pub frame_id: FrameId,
    pub reason: FrameDetachedReason,
}

impl crate::Event for FrameDetached {
    const METHOD: &'static str = "Page.frameDetached";
}

/// Fired once navigation of the frame has completed. Frame is now associated with the new loader.
#[derive(Clone, Debug, Deserialize)]
pub struct FrameNavigated {
    /// Frame object.
    pub frame: Frame,
    pub r#type: NavigationType,
}

impl crate::Event for FrameNavigated {
    const METHOD: &'static str = "Page.frameNavigated";
}

/// Fired when frame has started loading.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameStartedLoading {
    /// Id of the frame that has started loading.
    pub frame_id: FrameId,
}

impl crate::Event for FrameStartedLoading {
    const METHOD: &'static str = "Page.frameStartedLoading";
}

/// Fired when a navigation starts. This event is fired for both
/// renderer-initiated and browser-initiated navigations. For renderer-initiated
/// navigations, the event is fired after `frameRequestedNavigation`.
/// Navigation may still be cancelled after the event is issued. Multiple events
/// can be fired for a single navigation, for example, when a same-document
/// navigation becomes a cross-document navigation (such as in the case of a
/// frameset).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameStartedNavigating {
    /// ID of the frame that is being navigated.
    pub frame_id: FrameId,
    /// The URL the navigation started with. The final URL can be different.
    pub url: String,
    /// Loader identifier. Even though it is present in case of same-document
    /// navigation, the previously committed loaderId would not change unless
    /// the navigation changes from a same-document to a cross-document
    /// navigation.
    pub loader_id: super::network::LoaderId,
    pub navigation_type: FrameStartedNavigatingNavigationType,
}

impl crate::Event for FrameStartedNavigating {
    const METHOD: &'static str = "Page.frameStartedNavigating";
}

/// Fired when frame has stopped loading.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameStoppedLoading {
    /// Id of the frame that has stopped loading.
    pub frame_id: FrameId,
}

impl crate::Event for FrameStoppedLoading {
    const METHOD: &'static str = "Page.frameStoppedLoading";
}

/// Fired when a JavaScript initiated dialog (alert, confirm, prompt, or onbeforeunload) has been
/// closed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JavascriptDialogClosed {
    /// Frame id.
    pub frame_id: FrameId,
    /// Whether dialog was confirmed.
    pub result: bool,
    /// User input in case of prompt.
    pub user_input: String,
}

impl crate::Event for JavascriptDialogClosed {
    const METHOD: &'static str = "Page.javascriptDialogClosed";
}

/// Fired when a JavaScript initiated dialog (alert, confirm, prompt, or onbeforeunload) is about to
/// open.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JavascriptDialogOpening {
    /// Frame url.
    pub url: String,
    /// Frame id.
    pub frame_id: FrameId,
    /// Message that will be displayed by the dialog.
    pub message: String,
    /// Dialog type.
    pub r#type: DialogType,
    /// True iff browser is capable showing or acting on the given dialog. When browser has no
    /// dialog handler for given target, calling alert while Page domain is engaged will stall
    /// the page execution. Execution can be resumed via calling Page.handleJavaScriptDialog.
    pub has_browser_handler: bool,
    /// Default dialog prompt.
    pub default_prompt: Option<String>,
}

impl crate::Event for JavascriptDialogOpening {
    const METHOD: &'static str = "Page.javascriptDialogOpening";
}

/// Fired when same-document navigation happens, e.g. due to history API usage or anchor navigation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NavigatedWithinDocument {
    /// Id of the frame.
    pub frame_id: FrameId,
    /// Frame's new url.
    pub url: String,
    /// Navigation type
    pub navigation_type: NavigatedWithinDocumentNavigationType,
}

impl crate::Event for NavigatedWithinDocument {
    const METHOD: &'static str = "Page.navigatedWithinDocument";
}

/// Compressed image data requested by the `startScreencast`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScreencastFrame {
    /// Base64-encoded compressed image.
    pub data: String,
    /// Screencast frame metadata.
    pub metadata: ScreencastFrameMetadata,
    /// Frame number.
    pub session_id: i64,
}

impl crate::Event for ScreencastFrame {
    const METHOD: &'static str = "Page.screencastFrame";
}

/// Javascript dialog type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialogType {
    #[serde(rename = "alert")]
    Alert,
    #[serde(rename = "confirm")]
    Confirm,
    #[serde(rename = "prompt")]
    Prompt,
    #[serde(rename = "beforeunload")]
    Beforeunload,
    #[serde(untagged)]
    Unlisted(String),
}

/// Information about the Frame on the page.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// Frame unique identifier.
    pub id: FrameId,
    /// Parent frame identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<FrameId>,
    /// Identifier of the loader associated with this frame.
    pub loader_id: super::network::LoaderId,
    /// Frame's name as specified in the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Frame document's URL without fragment.
    pub url: String,
    /// Frame document's URL fragment including the '#'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_fragment: Option<String>,
    /// Frame document's registered domain, taking the public suffixes list into account.
    /// Extracted from the Frame's url.
    /// Example URLs: http://www.google.com/file.html -> "google.com"
    /// http://a.b.co.uk/file.html      -> "b.co.uk"
    pub domain_and_registry: String,
    /// Frame document's security origin.
    pub security_origin: String,
    /// Additional details about the frame document's security origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_origin_details: Option<SecurityOriginDetails>,
    /// Frame document's mimeType as determined by the browser.
    pub mime_type: String,
    /// If the frame failed to load, this contains the URL that could not be loaded. Note that unlike url above, this URL may contain a fragment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable_url: Option<String>,
}

/// Unique frame identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FrameId(pub String);

/// Information about the Frame hierarchy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameTree {
    /// Frame information for this tree item.
    pub frame: Frame,
    /// Child frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child_frames: Option<Vec<FrameTree>>,
}

/// Layout viewport position and dimensions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutViewport {
    /// Horizontal offset relative to the document (CSS pixels).
    pub page_x: i64,
    /// Vertical offset relative to the document (CSS pixels).
    pub page_y: i64,
    /// Width (CSS pixels), excludes scrollbar if present.
    pub client_width: i64,
    /// Height (CSS pixels), excludes scrollbar if present.
    pub client_height: i64,
}

/// Navigation history entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NavigationEntry {
    /// Unique id of the navigation history entry.
    pub id: i64,
    /// URL of the navigation history entry.
    pub url: String,
    /// URL that the user typed in the url bar.
    #[serde(rename = "userTypedURL")]
    pub user_typed_url: String,
    /// Title of the navigation history entry.
    pub title: String,
    /// Transition type.
    pub transition_type: TransitionType,
}

/// The type of a frameNavigated event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NavigationType {
    #[serde(rename = "Navigation")]
    Navigation,
    #[serde(rename = "BackForwardCacheRestore")]
    BackForwardCacheRestore,
    #[serde(untagged)]
    Unlisted(String),
}

/// The referring-policy used for the navigation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferrerPolicy {
    #[serde(rename = "noReferrer")]
    NoReferrer,
    #[serde(rename = "noReferrerWhenDowngrade")]
    NoReferrerWhenDowngrade,
    #[serde(rename = "origin")]
    Origin,
    #[serde(rename = "originWhenCrossOrigin")]
    OriginWhenCrossOrigin,
    #[serde(rename = "sameOrigin")]
    SameOrigin,
    #[serde(rename = "strictOrigin")]
    StrictOrigin,
    #[serde(rename = "strictOriginWhenCrossOrigin")]
    StrictOriginWhenCrossOrigin,
    #[serde(rename = "unsafeUrl")]
    UnsafeUrl,
    #[serde(untagged)]
    Unlisted(String),
}

/// Screencast frame metadata.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScreencastFrameMetadata {
    /// Top offset in DIP.
    pub offset_top: f64,
    /// Page scale factor.
    pub page_scale_factor: f64,
    /// Device screen width in DIP.
    pub device_width: f64,
    /// Device screen height in DIP.
    pub device_height: f64,
    /// Position of horizontal scroll in CSS pixels.
    pub scroll_offset_x: f64,
    /// Position of vertical scroll in CSS pixels.
    pub scroll_offset_y: f64,
    /// Frame swap timestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<super::network::TimeSinceEpoch>,
    /// Frame swap timestamp as monotonic time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monotonic_timestamp: Option<super::network::MonotonicTime>,
}

/// Unique script identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScriptIdentifier(pub String);

/// Additional information about the frame document's security origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityOriginDetails {
    /// Indicates whether the frame document's security origin is one
    /// of the local hostnames (e.g. "localhost") or IP addresses (IPv4
    /// 127.0.0.0/8 or IPv6 ::1).
    pub is_localhost: bool,
}

/// Transition type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransitionType {
    #[serde(rename = "link")]
    Link,
    #[serde(rename = "typed")]
    Typed,
    #[serde(rename = "address_bar")]
    AddressBar,
    #[serde(rename = "auto_bookmark")]
    AutoBookmark,
    #[serde(rename = "auto_subframe")]
    AutoSubframe,
    #[serde(rename = "manual_subframe")]
    ManualSubframe,
    #[serde(rename = "generated")]
    Generated,
    #[serde(rename = "auto_toplevel")]
    AutoToplevel,
    #[serde(rename = "form_submit")]
    FormSubmit,
    #[serde(rename = "reload")]
    Reload,
    #[serde(rename = "keyword")]
    Keyword,
    #[serde(rename = "keyword_generated")]
    KeywordGenerated,
    #[serde(rename = "other")]
    Other,
    #[serde(untagged)]
    Unlisted(String),
}

/// Viewport for capturing screenshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Viewport {
    /// X offset in device independent pixels (dip).
    pub x: f64,
    /// Y offset in device independent pixels (dip).
    pub y: f64,
    /// Rectangle width in device independent pixels (dip).
    pub width: f64,
    /// Rectangle height in device independent pixels (dip).
    pub height: f64,
    /// Page scale factor.
    pub scale: f64,
}

/// Visual viewport position, dimensions, and scale.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VisualViewport {
    /// Horizontal offset relative to the layout viewport (CSS pixels).
    pub offset_x: f64,
    /// Vertical offset relative to the layout viewport (CSS pixels).
    pub offset_y: f64,
    /// Horizontal offset relative to the document (CSS pixels).
    pub page_x: f64,
    /// Vertical offset relative to the document (CSS pixels).
    pub page_y: f64,
    /// Width (CSS pixels), excludes scrollbar if present.
    pub client_width: f64,
    /// Height (CSS pixels), excludes scrollbar if present.
    pub client_height: f64,
    /// Scale relative to the ideal viewport (size at width=device-width).
    pub scale: f64,
    /// Page zoom factor (CSS to device independent pixels ratio).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoom: Option<f64>,
}

/// Image compression format (defaults to png).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaptureScreenshotFormat {
    #[serde(rename = "jpeg")]
    Jpeg,
    #[serde(rename = "png")]
    Png,
    #[serde(rename = "webp")]
    Webp,
    #[serde(untagged)]
    Unlisted(String),
}

/// Download status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownloadProgressState {
    #[serde(rename = "inProgress")]
    InProgress,
    #[serde(rename = "completed")]
    Completed,
    #[serde(rename = "canceled")]
    Canceled,
    #[serde(untagged)]
    Unlisted(String),
}

/// Input mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileChooserOpenedMode {
    #[serde(rename = "selectSingle")]
    SelectSingle,
    #[serde(rename = "selectMultiple")]
    SelectMultiple,
    #[serde(untagged)]
    Unlisted(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameDetachedReason {
    #[serde(rename = "remove")]
    Remove,
    #[serde(rename = "swap")]
    Swap,
    #[serde(untagged)]
    Unlisted(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameStartedNavigatingNavigationType {
    #[serde(rename = "reload")]
    Reload,
    #[serde(rename = "reloadBypassingCache")]
    ReloadBypassingCache,
    #[serde(rename = "restore")]
    Restore,
    #[serde(rename = "restoreWithPost")]
    RestoreWithPost,
    #[serde(rename = "historySameDocument")]
    HistorySameDocument,
    #[serde(rename = "historyDifferentDocument")]
    HistoryDifferentDocument,
    #[serde(rename = "sameDocument")]
    SameDocument,
    #[serde(rename = "differentDocument")]
    DifferentDocument,
    #[serde(untagged)]
    Unlisted(String),
}

/// Navigation type
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NavigatedWithinDocumentNavigationType {
    #[serde(rename = "fragment")]
    Fragment,
    #[serde(rename = "historyApi")]
    HistoryApi,
    #[serde(rename = "other")]
    Other,
    #[serde(untagged)]
    Unlisted(String),
}

/// Image compression format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartScreencastFormat {
    #[serde(rename = "jpeg")]
    Jpeg,
    #[serde(rename = "png")]
    Png,
    #[serde(untagged)]
    Unlisted(String),
}
