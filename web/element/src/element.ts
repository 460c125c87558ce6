//! The element: attributes, properties and methods around one session. It can be imported where there is no DOM.

import { resultOf, stepOf, valueOf } from './act.ts';
import type * as Api from './api.ts';
import { BrowserBoxError } from './errors.ts';
import { LoginLink, originOf } from './link.ts';
import { captureOf, pageOf, selectOf, tabsOf } from './namespaces.ts';
import { isRecord } from './policy.ts';
import { Session } from './session.ts';
import { HOST_STYLE, sheet } from './styles.ts';
import { TIMINGS, type Timings } from './timings.ts';

const REQUEST_TIMEOUT_MS = 30_000;
const REQUEST_TIMEOUT_LEAST_MS = 100;

const MEDIA = ['camera', 'microphone', 'display-capture', 'geolocation'];
const ALLOWED = ['clipboard-read', 'clipboard-write', 'fullscreen', 'autoplay'];
const SANDBOX =
  'allow-scripts allow-same-origin allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-downloads ' +
  'allow-pointer-lock allow-presentation allow-storage-access-by-user-activation';

/** What may have been set on the element before it was defined, and has to go through the accessors then. */
const EARLY = [
  'loginLink',
  'width',
  'height',
  'parentOrigin',
  'requestTimeoutMs',
  'chrome',
  'augmentRoot',
  'interactionMode',
  'mediaPermissions',
  'capture',
  'policy',
] as const;

/** Calls that go to the page as they are. */
const FLAT: readonly (keyof Api.FlatMethods)[] = [
  'getTabs',
  'getTabCount',
  'getActiveTab',
  'getActiveTabIndex',
  'createTab',
  'createTabs',
  'closeTab',
  'closeTabById',
  'closeAllTabs',
  'switchToTab',
  'switchToTabById',
  'navigateTo',
  'navigateTab',
  'submitOmnibox',
  'reload',
  'goBack',
  'goForward',
  'stop',
  'waitForTabCount',
  'waitForTabUrl',
  'getFavicons',
  'waitForNonDefaultFavicon',
  'getScreenMetrics',
  'getTransportDiagnostics',
  'type',
  'waitForSelector',
  'waitForNavigation',
  'getCurrentModal',
  'respondToModal',
  'dismissModal',
  'captureFrame',
  'getFrame',
  'cleanSlate',
  'resolvePageTarget',
  'getPageText',
  'getPageUrl',
  'getPageTitle',
  'getPageFavicon',
];

const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);
const timings: unique symbol = Symbol.for('vitrine.timings');

export interface Webview extends Api.FlatMethods {}
export class Webview extends Base implements Api.BrowserBoxWebview {
  static readonly observedAttributes = [
    'login-link',
    'parent-origin',
    'width',
    'height',
    'ui-visible',
    'allow-user-toggle-ui',
    'chrome',
    'media-permissions',
    'session-unload-warning',
    'beforeunload-behavior',
    'interaction-mode',
    'policy',
    'capture',
  ];
  /** For tests alone; read when an element is made. */
  static readonly [timings]: Timings = { ...TIMINGS };

  readonly session: Api.SessionNamespace;
  readonly tabs: Api.TabsNamespace;
  readonly page: Api.PageNamespace;
  readonly select: Api.SelectNamespace;
  readonly augment: Api.AugmentNamespace;
  readonly #capture: Api.CaptureNamespace;
  readonly #session: Session;
  readonly #iframe: HTMLIFrameElement;
  /** The element's own size, which the embedder's style sheet can override. */
  readonly #size: CSSStyleDeclaration | null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    const style = sheet(HOST_STYLE);
    root.adoptedStyleSheets = [style];
    const [rule] = style.cssRules;
    this.#size = rule instanceof CSSStyleRule ? rule.style : null;
    this.#iframe = document.createElement('iframe');
    this.#iframe.title = 'Remote browser';
    this.#iframe.setAttribute('sandbox', SANDBOX);
    const augments = document.createElement('div');
    augments.className = 'augments';
    root.append(this.#iframe, augments);
    const embedder = {
      timeoutMs: () => this.requestTimeoutMs,
      restrictions: () => ({
        policy: this.getAttribute('policy'),
        capture: this.getAttribute('capture'),
        mode: this.getAttribute('interaction-mode'),
      }),
      ui: () => this.#ui(),
      uiShown: (visible: boolean) => this.setAttribute('ui-visible', String(visible)),
    };
    this.#session = new Session(this, { iframe: this.#iframe, augments }, embedder, { ...Webview[timings] });
    const call = (method: string, ...args: readonly unknown[]) => this.callApi(method, ...args);
    this.session = sessionOf(this.#session, this, () => this.#session.end('the embedder ended it'));
    this.tabs = tabsOf(call);
    this.page = pageOf(call);
    this.select = selectOf(call);
    this.augment = augmentOf(this.#session, () => this.augmentRoot);
    this.#capture = captureOf(call);
  }

  connectedCallback(): void {
    const own = this as unknown as Record<string, unknown>;
    for (const name of EARLY) {
      if (!Object.hasOwn(this, name)) continue;
      const value = own[name];
      delete own[name];
      own[name] = value;
    }
    if (this.#session.link) this.#session.moved();
    else this.#start();
  }

  disconnectedCallback(): void {
    // A move is a removal that is followed at once by an insertion.
    queueMicrotask(() => {
      if (!this.isConnected) this.#session.end('the element was removed');
    });
  }

  /** A move that keeps the iframe as it is. */
  connectedMoveCallback(): void {}

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (before === now) return;
    switch (name) {
      case 'login-link':
      case 'parent-origin':
        if (!this.isConnected) return;
        this.#session.end('the source changed');
        this.#start();
        break;
      case 'width':
      case 'height':
        this.#size?.setProperty(name, lengthOf(now));
        break;
      case 'policy':
      case 'capture':
        this.#session.policyChanged(`${name} attribute`);
        break;
      case 'interaction-mode':
        this.#session.policyChanged(`${name} attribute`);
        this.#session.syncUi(`${name} attribute`);
        break;
      default:
        this.#session.syncUi(`${name} attribute`);
    }
  }

  get loginLink(): string | null {
    return this.getAttribute('login-link');
  }
  set loginLink(value: string | null) {
    this.#set('login-link', value);
  }

  get routingMid(): string | null {
    return this.#session.id ?? this.#link()?.mid ?? null;
  }

  get width(): string {
    return this.getAttribute('width') ?? '100%';
  }
  set width(value: string | number) {
    this.#set('width', value);
  }

  get height(): string {
    return this.getAttribute('height') ?? '100%';
  }
  set height(value: string | number) {
    this.#set('height', value);
  }

  get parentOrigin(): string {
    return this.getAttribute('parent-origin') || '*';
  }
  set parentOrigin(value: string) {
    this.#set('parent-origin', value);
  }

  get requestTimeoutMs(): number {
    const given = Number.parseInt(this.getAttribute('request-timeout-ms') ?? '', 10);
    return Number.isNaN(given) ? REQUEST_TIMEOUT_MS : Math.max(given, REQUEST_TIMEOUT_LEAST_MS);
  }
  set requestTimeoutMs(value: number) {
    this.#set('request-timeout-ms', value);
  }

  get chrome(): string {
    return this.getAttribute('chrome') || 'default';
  }
  set chrome(value: string) {
    this.#set('chrome', value);
  }

  get augmentRoot(): ShadowRootMode {
    return this.getAttribute('augment-root') === 'closed' ? 'closed' : 'open';
  }
  set augmentRoot(value: ShadowRootMode) {
    this.#set('augment-root', value);
  }

  get interactionMode(): Api.InteractionMode {
    const mode = this.getAttribute('interaction-mode');
    return mode === 'limited' || mode === 'view-only' ? mode : 'full';
  }
  set interactionMode(value: Api.InteractionMode) {
    this.#set('interaction-mode', value);
  }

  get mediaPermissions(): string {
    return this.getAttribute('media-permissions') ?? '';
  }
  set mediaPermissions(value: string) {
    this.#set('media-permissions', value);
  }

  get capture(): Api.CaptureNamespace {
    return this.#capture;
  }
  set capture(value: string | null) {
    this.#set('capture', value);
  }

  get policy(): Api.PolicyNamespace {
    return { get: () => this.#session.policy() };
  }
  set policy(value: string | object | null) {
    this.#set('policy', isRecord(value) ? JSON.stringify(value) : (value as string | null));
  }

  whenReady({ timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<true> {
    return this.#session.whenReady(timeoutMs);
  }

  listApiMethods({ refresh = false }: { readonly refresh?: boolean } = {}): Promise<string[]> {
    return this.#session.methods(refresh);
  }

  callApi(method: string, ...args: unknown[]): Promise<unknown> {
    if (typeof method === 'string' && method !== '') return this.#session.call(method, args);
    return Promise.reject(new BrowserBoxError('ERR_INVALID_ARGUMENT', 'callApi requires a non-empty method name'));
  }

  health({ timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<Api.HealthReport> {
    return this.#session.health(timeoutMs);
  }

  refresh(): void {
    const { link } = this.#session;
    if (link) this.#session.reload(link, this.#parameters());
    else this.#start();
  }

  updateIframe(): void {
    for (const name of ['width', 'height'] as const) this.#size?.setProperty(name, lengthOf(this.getAttribute(name)));
    if (this.#link()?.href() === this.#session.link?.href()) this.#session.resetViewport('updateIframe');
    else {
      this.#session.end('the source changed');
      this.#start();
    }
  }

  stopReconnectAttempts(reason = 'the embedder stopped it'): void {
    this.#session.stopReconnecting(reason);
  }

  override click(): void;
  override click(selector: string, options?: Api.Options): Promise<{ readonly result: true }>;
  override click(selector?: string, options?: Api.Options): unknown {
    return selector === undefined ? super.click() : this.callApi('click', selector, options);
  }

  async evaluate(expression: string, options?: Api.Options): Promise<unknown> {
    return valueOf(await this.callApi('evaluate', expression, options));
  }

  async act(given: Api.Action): Promise<Api.ActionResult> {
    const { action, method, args } = stepOf(given);
    if (action === 'navigate') this.#session.require('act.navigate', 'act navigate');
    return resultOf(action, await this.callApi(method, ...args));
  }

  async uiVisible(visible?: boolean): Promise<boolean> {
    return this.#toggle('ui-visible', 'uiVisible', visible);
  }

  async allowUserToggleUI(allow?: boolean): Promise<boolean> {
    return this.#toggle('allow-user-toggle-ui', 'allowUserToggleUI', allow);
  }

  frameCapture(): Promise<Api.Frame | null> {
    return this.getFrame();
  }

  on(name: string, handler: (event: never) => void): () => void {
    this.addEventListener(name, handler as EventListener);
    return () => this.off(name, handler);
  }

  off(name: string, handler: (event: never) => void): void {
    this.removeEventListener(name, handler as EventListener);
  }

  observe(config?: Api.EventConfig): Api.Observer {
    return this.#session.feed.observe(config);
  }

  events(config?: Api.EventConfig): AsyncIterableIterator<Api.EventRecord> {
    return this.#session.feed.events(config);
  }

  #start(): void {
    const text = this.getAttribute('login-link');
    if (!text) return;
    this.#iframe.setAttribute('allow', this.#allowed().join('; '));
    try {
      const own = this.parentOrigin;
      if (own !== '*' && originOf(own) !== location.origin)
        throw new BrowserBoxError('ERR_INVALID_ARGUMENT', `parent-origin does not name this page, ${location.origin}`);
      this.#session.open(new LoginLink(text), this.#parameters());
    } catch (error) {
      this.#session.refuse(
        error instanceof BrowserBoxError ? error : new BrowserBoxError('ERR_INTERNAL', String(error)),
      );
      console.error(`<${this.localName}> could not start: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** So that controls which are to be hidden are never shown. */
  #parameters(): Readonly<Record<string, string>> {
    return this.#flag('ui-visible', true) ? {} : { ui: 'false' };
  }

  /** The link that the attribute names, if it names one. */
  #link(): LoginLink | null {
    try {
      return this.loginLink ? new LoginLink(this.loginLink) : null;
    } catch {
      return null;
    }
  }

  #allowed(): readonly string[] {
    const given = this.getAttribute('media-permissions');
    if (given === null) return [...ALLOWED, ...MEDIA];
    const named = new Set(given.toLowerCase().split(/[\s,]+/));
    return [...ALLOWED, ...MEDIA.filter((name) => named.has(name))];
  }

  #ui(): Readonly<Record<string, unknown>> {
    return {
      uiVisible: this.#flag('ui-visible', true),
      allowUserToggleUI: this.#flag('allow-user-toggle-ui', true),
      chromeMode: this.chrome,
      mediaPermissions: this.mediaPermissions,
      sessionUnloadWarning: this.#flag('session-unload-warning', false),
      beforeunloadBehavior: this.getAttribute('beforeunload-behavior') ?? 'prompt',
      embedderOrigin: location.origin,
      interactionMode: this.interactionMode,
    };
  }

  async #toggle(attribute: string, method: string, value?: boolean): Promise<boolean> {
    if (value !== undefined) this.setAttribute(attribute, String(value));
    if (this.#session.transport === 'modern') {
      const now = await this.callApi(method, value);
      if (typeof now === 'boolean') return now;
    }
    return this.#flag(attribute, true);
  }

  #flag(name: string, unsaid: boolean): boolean {
    const value = this.getAttribute(name);
    return value === null ? unsaid : !['false', '0', 'off', 'no'].includes(value.trim().toLowerCase());
  }

  #set(name: string, value: string | number | null | undefined): void {
    if (value === null || value === undefined) this.removeAttribute(name);
    else this.setAttribute(name, String(value));
  }
}

for (const name of FLAT) {
  const value = function (this: Webview, ...args: unknown[]) {
    return this.callApi(name, ...args);
  };
  Object.defineProperty(Webview.prototype, name, { value, configurable: true, writable: true });
}

function sessionOf(session: Session, element: Webview, disconnect: () => void): Api.SessionNamespace {
  return {
    get id() {
      return element.routingMid;
    },
    get usable() {
      return session.usable;
    },
    get transport() {
      return session.transport;
    },
    get ready() {
      return session.ready;
    },
    health: (options) => element.health(options),
    refresh: () => element.refresh(),
    disconnect,
    capabilities: () => session.policy().apiCapabilities,
  };
}

function augmentOf(session: Session, root: () => ShadowRootMode): Api.AugmentNamespace {
  const { augments } = session;
  const create = (spec: Api.AugmentSpec): Api.AugmentHandle => {
    session.require('augment.write', 'augment');
    session.require(`augment.${augments.spaceOf(spec)}`, 'augment');
    return augments.create(spec, root());
  };
  return Object.assign(create, {
    update(id: string, patch: Partial<Api.AugmentSpec>) {
      session.require('augment.write', 'augment.update');
      session.require(`augment.${augments.spaceOf(patch, id)}`, 'augment.update');
      return augments.update(id, patch);
    },
    remove(id: string) {
      session.require('augment.write', 'augment.remove');
      return augments.remove(id);
    },
    list() {
      session.require('augment.read', 'augment.list');
      return augments.list();
    },
  });
}

/** A bare number is a length in px; what is no length is ignored by the style sheet. */
function lengthOf(value: string | null): string {
  const given = value?.trim() || '100%';
  return /^\d+(?:\.\d+)?$/.test(given) ? `${given}px` : given;
}
