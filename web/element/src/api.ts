//! The element's whole surface, as types. This file is what is delivered as `webview.d.ts`; the element implements
//! it.

/** `ERR_NOT_READY`, `ERR_TIMEOUT` and `ERR_TRANSPORT` may pass; the others come again for the same call. */
export type BrowserBoxErrorCode =
  | 'ERR_NOT_READY'
  | 'ERR_POLICY_DENIED'
  | 'ERR_TIMEOUT'
  | 'ERR_TRANSPORT'
  | 'ERR_UNSUPPORTED'
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_NOT_FOUND'
  | 'ERR_CONFLICT'
  | 'ERR_INTERNAL';

export interface ErrorParts {
  readonly status?: number | undefined;
  readonly retriable?: boolean | undefined;
}

/** What every failed call rejects with. */
export declare class BrowserBoxError extends Error {
  constructor(code: BrowserBoxErrorCode, message: string, parts?: ErrorParts);
  readonly code: BrowserBoxErrorCode;
  readonly status: number | undefined;
  readonly retriable: boolean;
  toJSON(): { name: string; code: BrowserBoxErrorCode; message: string; status?: number; retriable: boolean };
}

/** Denied by the server's policy or by the element's own attributes. */
export declare class BrowserBoxPolicyError extends BrowserBoxError {
  constructor(message: string, parts?: ErrorParts);
}

export type Transport = 'modern' | 'legacy' | 'unknown';
export type InteractionMode = 'full' | 'limited' | 'view-only';
export type Capability = `${string}.${string}`;
/** By group and name: `capabilities.tabs.read`. */
export type Capabilities = Record<string, Record<string, boolean>>;

export interface PolicySnapshot {
  readonly schemaVersion: number;
  readonly policyProfile: string;
  readonly policyId: string | null;
  readonly baselineId: string | null;
  readonly policyVersion: number;
  /** Milliseconds since 1970. */
  readonly issuedAt: number | null;
  readonly updatedAt: number | null;
  readonly featureControls?: Readonly<Record<string, boolean>>;
  readonly apiCapabilities: Capabilities;
}

export interface Tab {
  readonly id: string;
  readonly index: number;
  readonly active: boolean;
  readonly url: string;
  readonly title: string;
  readonly canGoBack: boolean;
  readonly canGoForward: boolean;
  readonly loading: boolean;
  readonly hasFavicon: boolean;
  readonly isDefaultFavicon: boolean;
  readonly faviconDataURI: string | null;
}

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Options {
  /** Milliseconds. A time longer than `request-timeout-ms` lengthens the call's. */
  readonly timeoutMs?: number;
  readonly [option: string]: unknown;
}

export interface Navigated {
  readonly ok: boolean;
  readonly url: string;
  readonly tabId: string;
}

export interface CaptureOptions {
  readonly format?: 'png' | 'jpeg' | 'webp';
  readonly quality?: number;
}

/** A picture as it was last shown. */
export interface Frame {
  readonly seq: number;
  readonly capturedAt: number;
  readonly frameId: string | number;
  readonly castSessionId: string | number | null;
  readonly sessionId: string | null;
  readonly targetId: string | null;
  readonly width: number;
  readonly height: number;
  readonly mime: string;
  readonly bytes: Uint8Array | ArrayBuffer;
}

export interface HealthReport {
  readonly ok: boolean;
  readonly usable: boolean;
  readonly ready: boolean;
  readonly transport: Transport;
  readonly sessionId: string | null;
  readonly timestamp: number;
  readonly latencyMs: number | null;
  readonly diagnostics: {
    readonly transport: unknown;
    readonly lastError: { readonly code: string; readonly message: string; readonly at: number } | null;
    readonly reason: string;
    readonly pendingCalls: number;
  };
}

export interface Metrics {
  /** What of the page is visible, CSS px. */
  readonly viewport: {
    readonly width: number;
    readonly height: number;
    /** Device pixels of one CSS px. */
    readonly scale: number;
    readonly zoom: number;
  };
  readonly document: { readonly width: number; readonly height: number };
  readonly scroll: { readonly x: number; readonly y: number };
  /** Where the picture lies in the iframe, CSS px. */
  readonly surface: Rect | null;
}

export type AugmentKind = 'sidebar' | 'toolbar' | 'toast' | 'highlight' | 'custom' | 'panel' | 'note' | 'badge';
export type AugmentSpace = 'session' | 'viewport' | 'chrome' | 'page';
/** HTML is reduced to harmless elements, unless it is a node that the embedder made. */
export type AugmentContent =
  | string
  | Node
  | { readonly type: 'text'; readonly text?: string; readonly value?: string }
  | { readonly type: 'html'; readonly html?: string | Node; readonly value?: string | Node }
  | { readonly type: 'json'; readonly json?: unknown; readonly value?: unknown };

export interface AugmentSpec {
  readonly id?: string | undefined;
  /** `custom` when left out. */
  readonly kind?: AugmentKind | undefined;
  /** The same as `kind`. */
  readonly type?: AugmentKind | undefined;
  /** Over the whole element, the picture, the bar of the page, or the remote page, with which it scrolls. */
  readonly space?: AugmentSpace | undefined;
  readonly title?: string | undefined;
  readonly content?: AugmentContent | undefined;
  readonly side?: 'left' | 'right' | 'top' | 'bottom' | undefined;
  /** In the space `page`: an element of the remote page. */
  readonly target?: string | { readonly selector: string } | undefined;
  /** In the space `page`: CSS px of the remote document; else px of the space. */
  readonly rect?: Rect | undefined;
  /** How many matches of `target` a highlight marks; 1 when left out. */
  readonly maxMatches?: number | undefined;
  /** How long a toast stays. */
  readonly durationMs?: number | undefined;
  /** It has a button with which the person removes it. */
  readonly closable?: boolean | undefined;
}

export interface Augment extends AugmentSpec {
  readonly id: string;
  readonly kind: AugmentKind;
  readonly space: AugmentSpace;
}

export interface AugmentHandle {
  readonly id: string;
  update(patch: Partial<AugmentSpec>): Augment;
  remove(): boolean;
}

export interface RawSelection {
  readonly selector: string;
  readonly selectors: readonly string[];
  readonly text: string;
  readonly href: string | null;
  readonly htmlSnippet: string;
}

export interface SelectionResult {
  readonly selector: string;
  readonly count: number;
  readonly items: readonly { readonly text: string; readonly href: string | null; readonly html: string }[];
}

/** What the person picked. */
export interface Selection {
  getRaw(): RawSelection;
  /** The elements like it, as one selector. */
  generalize(options?: Options): Promise<SelectionResult>;
  /** The same, and shown over the page. */
  preview(options?: Options): Promise<SelectionResult>;
  /** Of what was picked, or what it was generalised to. */
  extract(options?: { readonly maxItems?: number; readonly fields?: readonly string[] }): Promise<SelectionResult>;
}

export interface EventRecord {
  readonly id: string;
  /** The canonical name where there is one. */
  readonly type: string;
  readonly timestamp: number;
  readonly sessionId: string | null;
  readonly tabId?: string;
  readonly detail: unknown;
}

export interface EventConfig {
  /** Names of either kind; all when left out. */
  readonly types?: readonly string[];
  readonly tabId?: string;
  /** Ends an iterator. */
  readonly signal?: AbortSignal;
}

export interface Observer {
  readonly id: string;
  readonly config: EventConfig;
  on(handler: (record: EventRecord) => void): () => void;
  on(type: string, handler: (record: EventRecord) => void): () => void;
  off(handler: (record: EventRecord) => void): void;
  off(type: string, handler: (record: EventRecord) => void): void;
  unsubscribe(): void;
}

export interface TabEvent {
  readonly index: number;
  readonly id: string;
}
export interface LoadEvent {
  readonly tabId: string;
  readonly url: string;
}
export interface PolicyDenied {
  readonly url: string;
  readonly reason: string;
  readonly method?: string;
  readonly capability?: string | null;
}
interface ApiReady {
  readonly methods: readonly string[];
  readonly policy?: PolicySnapshot;
}
interface Usability {
  readonly usable: boolean;
  readonly reason: string;
}
interface TabUpdated {
  readonly id: string;
  readonly url: string;
  readonly title: string;
  readonly faviconDataURI: string | null;
}

/** The `detail` of each event. */
export interface EventDetails {
  ready: { readonly type: string };
  'api-ready': ApiReady;
  'api.ready': ApiReady;
  'ready-timeout': { readonly timeoutMs: number; readonly error: BrowserBoxError };
  disconnected: Record<string, never>;
  'session.disconnected': Record<string, never>;
  'iframe-retry': { readonly attempt: number; readonly maxAttempts: number; readonly delayMs: number };
  'mid-synced': { readonly mid: string; readonly attempts: number };
  'mid-sync-timeout': { readonly attempts: number; readonly mid: string };
  'usability-changed': Usability;
  'session.usability.changed': Usability;
  'tab-created': TabEvent & { readonly url: string };
  'tab.created': TabEvent & { readonly url: string };
  'tab-closed': TabEvent;
  'tab.closed': TabEvent;
  'tab-updated': TabUpdated;
  'tab.updated': TabUpdated;
  'tab-attached': { readonly id: string; readonly index?: number };
  'active-tab-changed': TabEvent;
  'tab.activated': TabEvent;
  'did-start-loading': LoadEvent;
  'page.load.started': LoadEvent;
  'did-stop-loading': LoadEvent;
  'page.load.stopped': LoadEvent;
  'did-navigate': LoadEvent;
  'page.navigated': LoadEvent;
  'policy-denied': PolicyDenied;
  'policy.denied': PolicyDenied;
  'policy.changed': { readonly reason: string; readonly policy: PolicySnapshot; readonly capabilities: Capabilities };
  'favicon-changed': { readonly tabId: string; readonly faviconDataURI: string | null };
  'modal-opened': unknown;
  'modal-updated': unknown;
  'modal-closed': unknown;
  'page-viewport': unknown;
  'ui-visible-changed': { readonly visible: boolean };
  sos: { readonly reasonCode: string; readonly message: string; readonly retryUrl: string | null };
}

export type WebviewEventMap = { readonly [Name in keyof EventDetails]: CustomEvent<EventDetails[Name]> };

export type Action =
  | { readonly navigate: string | ({ readonly url: string } & Options) }
  | { readonly click: string | ({ readonly selector: string } & Options) }
  | { readonly type: { readonly selector: string; readonly text: string } & Options }
  | { readonly evaluate: string | ({ readonly expression: string } & Options) }
  | { readonly waitForSelector: string | ({ readonly selector: string } & Options) }
  | { readonly waitForNavigation: Options | boolean };

export interface ActionResult {
  readonly ok: true;
  readonly action: string;
  readonly value: unknown;
}

/** The methods that the page answers as they are. */
export interface FlatMethods {
  getTabs(): Promise<Tab[]>;
  getTabCount(): Promise<number>;
  getActiveTab(): Promise<Tab | null>;
  getActiveTabIndex(): Promise<number>;
  createTab(url?: string, options?: { readonly active?: boolean }): Promise<unknown>;
  createTabs(count: number, options?: Options): Promise<unknown>;
  closeTab(index?: number): Promise<unknown>;
  closeTabById(targetId: string): Promise<unknown>;
  closeAllTabs(options?: Options): Promise<unknown>;
  switchToTab(index: number): Promise<unknown>;
  switchToTabById(targetId: string): Promise<unknown>;
  navigateTo(url: string, options?: Options): Promise<Navigated>;
  navigateTab(index: number, url: string, options?: Options): Promise<Navigated>;
  submitOmnibox(query: string, options?: Options): Promise<unknown>;
  reload(): Promise<unknown>;
  goBack(): Promise<unknown>;
  goForward(): Promise<unknown>;
  stop(): Promise<unknown>;
  waitForTabCount(count: number, options?: Options): Promise<unknown>;
  waitForTabUrl(index: number, options?: Options): Promise<unknown>;
  getFavicons(): Promise<unknown[]>;
  waitForNonDefaultFavicon(index: number, options?: Options): Promise<unknown>;
  getScreenMetrics(): Promise<Record<string, unknown>>;
  getTransportDiagnostics(): Promise<Record<string, unknown>>;
  type(selector: string, text: string, options?: Options): Promise<{ readonly result: true }>;
  waitForSelector(selector: string, options?: Options): Promise<boolean>;
  waitForNavigation(options?: Options): Promise<unknown>;
  getCurrentModal(): Promise<unknown>;
  respondToModal(...answer: unknown[]): Promise<unknown>;
  dismissModal(...modal: unknown[]): Promise<unknown>;
  captureFrame(options?: CaptureOptions & { readonly scope?: 'frame' | 'viewport' }): Promise<string>;
  /** The latest picture that was not read yet; null when there is none. */
  getFrame(): Promise<Frame | null>;
  cleanSlate(url?: string): Promise<Record<string, unknown>>;
  resolvePageTarget(
    target: { readonly selector: string },
    options?: { readonly maxMatches?: number },
  ): Promise<{
    readonly matches: readonly Rect[];
    readonly matchCount: number;
    readonly sample: readonly { readonly text: string; readonly href: string | null }[];
  }>;
  getPageText(options?: { readonly mainContentOnly?: boolean }): Promise<string>;
  getPageUrl(): Promise<string>;
  getPageTitle(): Promise<string>;
  getPageFavicon(): Promise<string | null>;
}

export interface SessionNamespace {
  /** The routing id. */
  readonly id: string | null;
  readonly usable: boolean;
  readonly transport: Transport;
  readonly ready: boolean;
  health(options?: { readonly timeoutMs?: number }): Promise<HealthReport>;
  refresh(): void;
  /** Takes the session off this element; `refresh` brings it back. */
  disconnect(): void;
  capabilities(): Capabilities;
}

export interface TabsNamespace {
  list(): Promise<Tab[]>;
  getActive(): Promise<Tab | null>;
  create(options?: { readonly url?: string; readonly active?: boolean }): Promise<unknown>;
  activate(tabId: string): Promise<unknown>;
  close(tabId: string): Promise<unknown>;
  closeAll(): Promise<unknown>;
}

export interface PageNamespace {
  navigate(url: string, options?: Options): Promise<Navigated>;
  reload(): Promise<unknown>;
  back(): Promise<unknown>;
  forward(): Promise<unknown>;
  stop(): Promise<unknown>;
  url(): Promise<string>;
  title(): Promise<string>;
  favicon(): Promise<string | null>;
  metrics(): Promise<Metrics>;
  text(options?: { readonly mainContentOnly?: boolean }): Promise<string>;
}

export interface CaptureNamespace {
  frame(options?: CaptureOptions): Promise<string>;
  viewport(options?: CaptureOptions): Promise<string>;
}

export interface AugmentNamespace {
  (spec: AugmentSpec): AugmentHandle;
  update(id: string, patch: Partial<AugmentSpec>): Augment;
  remove(id: string): boolean;
  list(): readonly Augment[];
}

export interface SelectNamespace {
  /** Resolves when the person has picked an element of the page. */
  (options?: { readonly prompt?: string; readonly intent?: string }): Promise<Selection>;
  cancel(): Promise<unknown>;
}

export interface PolicyNamespace {
  /** What the server and this element's attributes both allow. */
  get(): PolicySnapshot;
}

export interface BrowserBoxWebview extends FlatMethods {}
export declare class BrowserBoxWebview extends HTMLElement {
  /** Null when there is none. */
  get loginLink(): string | null;
  set loginLink(value: string | null);
  readonly routingMid: string | null;
  get width(): string;
  set width(value: string | number);
  get height(): string;
  set height(value: string | number);
  parentOrigin: string;
  requestTimeoutMs: number;
  chrome: string;
  augmentRoot: ShadowRootMode;
  interactionMode: InteractionMode;
  mediaPermissions: string;

  readonly session: SessionNamespace;
  readonly tabs: TabsNamespace;
  readonly page: PageNamespace;
  readonly select: SelectNamespace;
  readonly augment: AugmentNamespace;
  /** Set: the attribute `capture`. */
  get capture(): CaptureNamespace;
  set capture(value: string | null);
  /** Set: the attribute `policy`; an object is written as JSON. */
  get policy(): PolicyNamespace;
  set policy(value: string | object | null);

  /** Rejects and raises `ready-timeout` after `timeoutMs`; `request-timeout-ms` when left out. */
  whenReady(options?: { readonly timeoutMs?: number }): Promise<true>;
  /** `refresh`: asks the page instead of remembering what it said at the handshake. */
  listApiMethods(options?: { readonly refresh?: boolean }): Promise<string[]>;
  callApi(method: string, ...args: unknown[]): Promise<unknown>;
  refresh(): void;
  updateIframe(): void;
  stopReconnectAttempts(reason?: string): void;
  health(options?: { readonly timeoutMs?: number }): Promise<HealthReport>;
  /** Without a selector, what `click` is on every element. */
  override click(): void;
  override click(selector: string, options?: Options): Promise<{ readonly result: true }>;
  /** The value of the expression itself. */
  evaluate(expression: string, options?: Options): Promise<unknown>;
  act(action: Action): Promise<ActionResult>;
  uiVisible(visible?: boolean): Promise<boolean>;
  allowUserToggleUI(allow?: boolean): Promise<boolean>;
  /** The same as `getFrame`. */
  frameCapture(): Promise<Frame | null>;

  on<Name extends keyof WebviewEventMap>(name: Name, handler: (event: WebviewEventMap[Name]) => void): () => void;
  on(name: string, handler: (event: CustomEvent) => void): () => void;
  off<Name extends keyof WebviewEventMap>(name: Name, handler: (event: WebviewEventMap[Name]) => void): void;
  off(name: string, handler: (event: CustomEvent) => void): void;
  observe(config?: EventConfig): Observer;
  events(config?: EventConfig): AsyncIterableIterator<EventRecord>;

  override addEventListener<Name extends keyof WebviewEventMap>(
    type: Name,
    listener: (this: BrowserBoxWebview, event: WebviewEventMap[Name]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener<Name extends keyof HTMLElementEventMap>(
    type: Name,
    listener: (this: HTMLElement, event: HTMLElementEventMap[Name]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export declare class VitrineWebview extends BrowserBoxWebview {}

/** The attributes, for JSX: `declare module 'react' { namespace JSX { interface IntrinsicElements { … } } }`. */
export interface WebviewAttributes {
  'login-link'?: string | undefined;
  width?: string | number | undefined;
  height?: string | number | undefined;
  'parent-origin'?: string | undefined;
  'request-timeout-ms'?: string | number | undefined;
  'ui-visible'?: 'true' | 'false' | undefined;
  'allow-user-toggle-ui'?: 'true' | 'false' | undefined;
  chrome?: 'none' | 'minimal' | 'default' | 'custom' | undefined;
  'augment-root'?: 'open' | 'closed' | undefined;
  capture?: 'off' | 'snapshot' | 'sampled' | undefined;
  policy?: string | undefined;
  'interaction-mode'?: InteractionMode | undefined;
  'media-permissions'?: string | undefined;
  'session-unload-warning'?: 'true' | 'false' | undefined;
  'beforeunload-behavior'?: 'prompt' | 'accept' | 'dismiss' | undefined;
}

declare global {
  interface HTMLElementTagNameMap {
    'browserbox-webview': BrowserBoxWebview;
    'vitrine-webview': VitrineWebview;
  }
}
