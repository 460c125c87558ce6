//! One session in one element: the connection, the calls over it, what is allowed, and what the element's events say
//! of it.

import type * as Api from './api.ts';
import { Augments, type Viewport } from './augment.ts';
import { Calls } from './calls.ts';
import { type Change, Connection, type Message, policyOf } from './connection.ts';
import { BrowserBoxError, BrowserBoxPolicyError, errorFrom } from './errors.ts';
import { Feed, FORWARDED } from './events.ts';
import { Legacy } from './legacy.ts';
import type { LoginLink } from './link.ts';
import { allows, isRecord, merge, needOf, type Restrictions } from './policy.ts';
import type { Timings } from './timings.ts';

const HEALTH_TIMEOUT_MS = 5000;
/** A person may think about what to pick for so long. */
const PICK_TIMEOUT_MS = 600_000;
/** The reason of `bbx-sos` that a new login heals. */
const LOGIN_AGAIN = 'access_denied';

/** What the embedder has set. */
export interface Embedder {
  timeoutMs(): number;
  restrictions(): Restrictions;
  /** The fields of `bbx-ui-sync`. */
  ui(): Readonly<Record<string, unknown>>;
  /** The person has shown or hidden the page's controls. */
  uiShown(visible: boolean): void;
}

export class Session {
  readonly feed: Feed;
  readonly augments: Augments;
  readonly #embedder: Embedder;
  readonly #connection: Connection;
  readonly #calls: Calls;
  readonly #legacy: Legacy;
  readonly #timings: Timings;
  #methods: readonly string[] = [];
  #server: Api.PolicySnapshot | null = null;
  /** The policy of which the embedder knows, as text. */
  #told = '';
  #usable = false;
  #reason = 'not connected';
  /** Nobody was told yet that it is over. */
  #open = false;
  #greeted = false;
  #probing = false;
  #healed = false;
  #denials = 0;
  /** Grows when a session is left. */
  #epoch = 0;
  #lastError: Api.HealthReport['diagnostics']['lastError'] = null;

  constructor(
    target: EventTarget,
    parts: { readonly iframe: HTMLIFrameElement; readonly augments: HTMLElement },
    embedder: Embedder,
    timings: Timings,
  ) {
    this.#embedder = embedder;
    this.#timings = timings;
    const changed = (change: Change) => this.#changed(change);
    this.#connection = new Connection(parts.iframe, timings, changed, (message) => this.#received(message));
    this.#calls = new Calls(this.#connection, timings);
    this.#legacy = new Legacy(this.#calls, this.#connection);
    this.feed = new Feed(target, () => this.id);
    this.augments = new Augments(parts.augments, (selector, most) => this.#resolve(selector, most));
  }

  get id(): string | null {
    return this.#connection.link?.mid ?? null;
  }

  get usable(): boolean {
    return this.#usable;
  }

  get ready(): boolean {
    return this.#connection.ready;
  }

  get transport(): Api.Transport {
    return this.#connection.transport;
  }

  get link(): LoginLink | null {
    return this.#connection.link;
  }

  open(link: LoginLink, parameters: Readonly<Record<string, string>>): void {
    this.#greeted = false;
    this.#open = true;
    this.#told = this.#words();
    this.#connection.open(link, parameters);
  }

  /** Loads the same session anew; what is under way is tried again then. */
  reload(link: LoginLink, parameters: Readonly<Record<string, string>>): void {
    this.#setUsable(false, 'refresh');
    this.#calls.interrupt(new BrowserBoxError('ERR_TRANSPORT', 'disconnected: the page is loaded again'));
    this.open(link, { ...parameters, bbx_recover_t: String(Date.now()) });
  }

  /** Ends it here; the session itself goes on at the server. */
  end(reason: string): void {
    if (!this.#connection.link) return;
    const error = new BrowserBoxError('ERR_TRANSPORT', `disconnected: ${reason}`);
    this.#epoch += 1;
    this.#calls.abandon(error);
    this.#connection.close(error);
    this.#server = null;
    this.#methods = [];
    this.augments.clear();
    this.#over(reason);
  }

  /** It cannot be opened with what the embedder gave. */
  refuse(error: BrowserBoxError): void {
    this.#note(error);
    this.#connection.close(error);
    this.#setUsable(false, error.message);
  }

  /** The element went to another place of the document, where the browser loads the iframe anew. */
  moved(): void {
    this.#connection.lose();
  }

  stopReconnecting(reason: string): void {
    const error = new BrowserBoxError('ERR_TRANSPORT', `disconnected: ${reason}`);
    this.#calls.abandon(error);
    this.#connection.stop(error);
  }

  async whenReady(timeoutMs = this.#embedder.timeoutMs()): Promise<true> {
    try {
      await this.#connection.whenReady(timeoutMs);
    } catch (thrown) {
      const error = this.#note(thrown);
      if (error.code === 'ERR_NOT_READY') this.feed.emit('ready-timeout', { timeoutMs, error });
      throw error;
    }
    return true;
  }

  /** `need` is what it takes to be allowed to. */
  async call(method: string, given: readonly unknown[], need?: Api.Capability | null): Promise<unknown> {
    const args = trimmed(given);
    const denials = this.#denials;
    const epoch = this.#epoch;
    try {
      this.permit(need === undefined ? needOf(method, args) : need, method);
      // What waits for a person, or ends that, takes no turn from the others.
      const aside = method === 'beginSelect' || method === 'cancelSelect';
      const make = () => this.#make(method, args, epoch);
      return await (aside ? make() : this.#calls.inTurn(make));
    } catch (thrown) {
      const error = this.#note(thrown);
      // The server raises the event itself for an address that it blocks; a denied method it only answers.
      if (error instanceof BrowserBoxPolicyError && denials === this.#denials)
        this.#deny(error.message, method, need ?? needOf(method, args));
      throw error;
    }
  }

  async #make(method: string, args: readonly unknown[], epoch: number): Promise<unknown> {
    const timeoutMs = this.#embedder.timeoutMs();
    if (epoch === this.#epoch) await this.#connection.whenReady(timeoutMs);
    // Made for a session that has meanwhile been left.
    if (epoch !== this.#epoch) throw new BrowserBoxError('ERR_TRANSPORT', 'disconnected');
    if (this.transport === 'legacy') return this.#legacy.call(method, args, timeoutMs);
    const options = method === 'beginSelect' ? { timeoutMs: PICK_TIMEOUT_MS, tries: 1 } : { timeoutMs };
    return this.#calls.call(method, args, options);
  }

  /** Fails when something is not allowed. */
  permit(need: Api.Capability | null, what: string): void {
    if (need !== null && !allows(this.policy(), need))
      throw new BrowserBoxPolicyError(`${what} is not allowed: the policy does not grant ${need}`);
  }

  /** The same for what is no call, and raises the event. */
  require(need: Api.Capability, what: string): void {
    try {
      this.permit(need, what);
    } catch (thrown) {
      this.#deny(this.#note(thrown).message, what, need);
      throw thrown;
    }
  }

  async methods(refresh: boolean): Promise<string[]> {
    await this.whenReady();
    if (this.transport === 'legacy') return [...this.#legacy.methods];
    if (refresh || this.#methods.length === 0) {
      const methods = await this.#calls.ask({ type: 'bbx-api-list' }, this.#embedder.timeoutMs());
      this.#methods = Array.isArray(methods) ? methods.map(String) : [];
    }
    return [...this.#methods];
  }

  /** Never rejects. */
  async health(timeoutMs = HEALTH_TIMEOUT_MS): Promise<Api.HealthReport> {
    const began = performance.now();
    let latencyMs: number | null = null;
    let transport: unknown = null;
    if (this.ready) {
      const data = { method: 'getTransportDiagnostics', args: [] };
      const question = this.transport === 'legacy' ? { type: 'getTabCount' } : { type: 'bbx-api-call', data };
      try {
        transport = await this.#calls.ask(question, timeoutMs);
        latencyMs = performance.now() - began;
      } catch (thrown) {
        this.#note(thrown);
      }
    }
    return {
      ok: this.#usable && latencyMs !== null,
      usable: this.#usable,
      ready: this.ready,
      transport: this.transport,
      sessionId: this.id,
      timestamp: Date.now(),
      latencyMs,
      diagnostics: {
        transport: this.transport === 'legacy' ? null : transport,
        lastError: this.#lastError,
        reason: this.#reason,
        pendingCalls: this.#calls.pending,
      },
    };
  }

  policy(): Api.PolicySnapshot {
    return merge(this.#server, this.#embedder.restrictions());
  }

  /** What the embedder or the server allows may have changed. */
  policyChanged(reason: string): void {
    const told = this.#words();
    if (told === this.#told || !this.link) return;
    this.#told = told;
    const policy = this.policy();
    if (!allows(policy, 'augment.write')) this.augments.clear();
    this.feed.emit('policy.changed', { reason, policy, capabilities: policy.apiCapabilities });
  }

  syncUi(reason: string): void {
    if (!this.ready) return;
    this.#connection.post({ type: 'bbx-ui-sync', data: { ...this.#embedder.ui(), reason } });
  }

  resetViewport(reason: string): void {
    if (this.ready) this.#connection.post({ type: 'bbx-viewport-reset', data: { reason } });
  }

  #changed(change: Change): void {
    switch (change.kind) {
      case 'ready':
        this.#becameReady(change.methods, change.policy);
        break;
      case 'greeted':
        if (this.#greeted) break;
        this.#greeted = true;
        this.feed.emit('ready', { type: change.type });
        break;
      case 'probing':
        void this.#probe();
        break;
      case 'lost':
        this.#greeted = false;
        this.#calls.interrupt(new BrowserBoxError('ERR_TRANSPORT', 'disconnected: the page is loaded again'));
        this.#setUsable(false, 'reloading');
        break;
      case 'retry': {
        const { kind: _, ...detail } = change;
        this.feed.emit('iframe-retry', detail);
        break;
      }
      case 'over':
        this.#note(change.error);
        this.#calls.abandon(change.error);
        this.#over('no answer');
        break;
      case 'synced':
        this.feed.emit('mid-synced', { mid: change.mid, attempts: change.attempts });
        break;
      case 'unsynced':
        this.feed.emit('mid-sync-timeout', { attempts: change.attempts, mid: change.mid });
        break;
      default:
        change satisfies never;
    }
  }

  #becameReady(methods: readonly string[], policy: Api.PolicySnapshot | null): void {
    this.#methods = methods;
    this.#server = policy;
    this.#open = true;
    this.#healed = false;
    this.syncUi('ready');
    if (this.transport === 'modern') this.feed.emit('api-ready', { methods, ...(policy ? { policy } : {}) });
    this.policyChanged('api-ready');
    this.#setUsable(true, 'ready');
  }

  /** Whether a page that has said only the old greeting knows modern calls. */
  async #probe(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    try {
      const methods = await this.#calls.ask({ type: 'bbx-api-list' }, this.#timings.probeMs);
      this.#connection.settleTransport('modern', Array.isArray(methods) ? methods.map(String) : []);
    } catch (thrown) {
      // Silence or a refusal tells of the page; that it went away does not.
      if (errorFrom(thrown).code !== 'ERR_TRANSPORT') this.#connection.settleTransport('legacy', []);
    } finally {
      this.#probing = false;
    }
  }

  #received(message: Message): void {
    if (this.#calls.receive(message)) return;
    const { type } = message;
    const data = isRecord(message.data) ? message.data : {};
    switch (type) {
      case 'bbx-ui-request':
        this.syncUi('requested');
        break;
      case 'bbx-policy-sync':
        this.#server = policyOf(data['policy']) ?? this.#server;
        this.policyChanged('server');
        break;
      case 'bbx-sos':
        this.#sos(data);
        break;
      case 'usability-changed':
        if (this.ready) this.#setUsable(data['usable'] === true, String(data['reason'] ?? ''));
        break;
      default:
        if (FORWARDED.has(type)) this.#forward(type, data);
    }
  }

  #forward(type: string, data: Readonly<Record<string, unknown>>): void {
    if (type === 'policy-denied') this.#denials += 1;
    if (type === 'ui-visible-changed') this.#embedder.uiShown(data['visible'] === true);
    if (type === 'page-viewport') {
      const viewport = viewportOf(data);
      if (viewport) this.augments.moved(viewport);
    }
    if (type === 'did-navigate' || type === 'did-stop-loading' || type === 'active-tab-changed')
      this.augments.lookAgain();
    if (allows(this.policy(), 'events.read')) this.feed.emit(type, data);
  }

  /** The page says that it cannot be used any more. */
  #sos(data: Readonly<Record<string, unknown>>): void {
    if (!this.#open) return;
    const reasonCode = String(data['reasonCode'] ?? 'unknown');
    const message = String(data['message'] ?? '');
    const { link } = this.#connection;
    if (reasonCode === LOGIN_AGAIN && link && !this.#healed) {
      this.#healed = true;
      this.reload(link, {});
      return;
    }
    const retryUrl = typeof data['retryUrl'] === 'string' ? data['retryUrl'] : null;
    const words = `disconnected: ${message || reasonCode}`;
    const error = this.#note(new BrowserBoxError('ERR_TRANSPORT', words, { retriable: false }));
    this.#calls.abandon(error);
    this.#connection.halt(error);
    this.feed.emit('sos', { reasonCode, message, retryUrl });
    this.#over(reasonCode);
  }

  #over(reason: string): void {
    this.#setUsable(false, reason);
    if (!this.#open) return;
    this.#open = false;
    this.feed.emit('disconnected', {});
  }

  #setUsable(usable: boolean, reason: string): void {
    this.#reason = reason;
    if (usable === this.#usable) return;
    this.#usable = usable;
    this.feed.emit('usability-changed', { usable, reason });
  }

  #deny(reason: string, method: string, capability: Api.Capability | null): void {
    this.#denials += 1;
    this.feed.emit('policy-denied', { url: '', reason, method, capability });
  }

  /** Remembers it for `health`. */
  #note(thrown: unknown): BrowserBoxError {
    const error = errorFrom(thrown);
    this.#lastError = { code: error.code, message: error.message, at: Date.now() };
    return error;
  }

  #words(): string {
    const { apiCapabilities, featureControls } = this.policy();
    return JSON.stringify([apiCapabilities, featureControls]);
  }

  async #resolve(selector: string, most: number): Promise<readonly Api.Rect[]> {
    if (!this.ready || this.transport === 'legacy') return [];
    const options = { timeoutMs: this.#embedder.timeoutMs(), tries: 1 };
    // Not by `call`: nobody asked, so nobody is told of a denial.
    const found = await this.#calls.call('resolvePageTarget', [{ selector }, { maxMatches: most }], options);
    const matches = isRecord(found) && Array.isArray(found['matches']) ? found['matches'] : [];
    return matches.filter(isRect);
  }
}

/** Without what was left out at the end: `undefined` is no argument. */
function trimmed(args: readonly unknown[]): readonly unknown[] {
  const last = args.findLastIndex((argument) => argument !== undefined);
  return args.slice(0, last + 1);
}

function isRect(value: unknown): value is Api.Rect {
  return isRecord(value) && ['x', 'y', 'width', 'height'].every((name) => Number.isFinite(value[name]));
}

function viewportOf(data: Readonly<Record<string, unknown>>): Viewport | null {
  const { surface } = data;
  const known = ['scrollX', 'scrollY', 'width', 'height'].every((name) => Number.isFinite(data[name]));
  return known && isRect(surface) ? ({ ...data, surface } as unknown as Viewport) : null;
}
