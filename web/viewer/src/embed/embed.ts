//! The session's page in an embedder's frame: the whole remote browser, and the ear for the program that embeds it.

// Comes first: it takes the way in out of the address before anything else runs.
import { entry } from './entry.ts';

import { open } from '../browser.ts';
import type { HostEvent } from '../host.ts';
import type { InteractionMode, Received, ServerMessage } from '../protocol.ts';
import { Calls } from './calls.ts';
import { Controls } from './controls.ts';
import { EmbedHost } from './host.ts';
import { Methods } from './methods.ts';
import { ownMethods, type Standing } from './own.ts';
import { Parent } from './parent.ts';
import { Picker } from './pick.ts';
import { Preview } from './preview.ts';
import { Rpc } from './rpc.ts';
import { Sites } from './sites.ts';
import { Sync, type Wishes } from './sync.ts';
import { embedTabs } from './tabs.ts';
import { Viewport } from './viewport.ts';

/** Key pictures are dear; an embedder that asks without end gets them at this pace. */
const RESET_EVERY_MS = 500;

/** Everything that lasts as long as the page. */
class Embed {
  readonly #parent = new Parent((message) => this.#rpc.hear(message));
  readonly #host = new EmbedHost(entry, {
    notify: (event) => this.#notified(event),
    framedBy: (patterns) => this.#parent.framedBy(patterns),
  });
  readonly #browser = open(this.#host);
  readonly #view = this.#browser.view;
  readonly #standing: Standing = {
    session: this.#host.session,
    tabs: [],
    watching: null,
    connections: 0,
    connected: false,
  };
  readonly #calls = new Calls((message) => this.#view.connection.send(message));
  readonly #controls = new Controls((visible) => this.#tell('ui-visible-changed', { visible }));
  readonly #viewport = new Viewport(this.#view.surface, (detail) => this.#tell('page-viewport', detail));
  readonly #preview = new Preview(this.#view.surface, this.#viewport, this.#calls);
  readonly #sites = new Sites((message) => this.#view.act(message));
  readonly #picker = new Picker({
    surface: this.#view.surface,
    stage: this.#browser.stage,
    inspect: (point) => this.#calls.make('page.inspectAt', [point]),
    done: () => this.#browser.context.toPage(),
  });
  readonly #methods = new Methods({
    calls: this.#calls,
    own: ownMethods(this.#standing, this.#view, this.#controls, this.#picker),
    completed: (method, args, value) => this.#completed(method, args, value),
  });
  readonly #sync = new Sync(this.#wishes());
  readonly #rpc = new Rpc({
    methods: this.#methods,
    tabs: () => this.#standing.tabs,
    tell: (message) => this.#parent.tell(message),
    greet: () => this.#greet(),
    synchronize: (data) => this.#sync.apply(data),
    resetViewport: () => this.#resetViewport(),
  });
  /** Somebody has asked whether the page is ready before it was. */
  #awaited = false;
  /** What is said of a session that is over. */
  #ended: object | null = null;
  #mode: InteractionMode = 'full';
  #unloadAnswer: Wishes['beforeunloadBehavior'] = 'prompt';
  #reset: ReturnType<typeof setTimeout> | undefined;
  #resetAt = -Infinity;

  start(): void {
    if (new URLSearchParams(location.search).get('ui') === 'false') this.#controls.show(false);
    this.#browser.sizing.match();
    // The view first finds out what it can decode; meanwhile the way to the session is made ready. What goes wrong shows there.
    void this.#host.socketAddress().catch(() => {});
    void this.#view.start();
    this.#parent.hail({ type: 'bbx-mid-request', data: {} });
    this.#parent.hail({ type: 'bbx-ui-request', data: {} });
  }

  #tell(type: string, data: unknown): void {
    this.#parent.tell({ type, data });
  }

  #notified(event: HostEvent): void {
    switch (event.type) {
      case 'connected':
        this.#standing.connections += 1;
        this.#ended = null;
        if (this.#mode !== 'full') this.#view.connection.send({ type: 'interaction', mode: this.#mode });
        this.#calls.connected();
        this.#reached(true, 'connected');
        break;
      case 'reconnecting':
        this.#calls.disconnected();
        this.#reached(false, 'reconnecting');
        break;
      case 'ended': {
        const { sentence, reason = 'connection_refused' } = event.ending;
        this.#ended = { type: 'bbx-sos', data: { reasonCode: reason, message: sentence, retryUrl: null } };
        this.#standing.connected = false;
        this.#calls.end(sentence);
        this.#picker.cancel();
        this.#parent.hail(this.#ended);
        break;
      }
      case 'titled':
        document.title = event.title || 'Vitrine';
        break;
      case 'heard':
        this.#heard(event.message);
        break;
    }
  }

  #heard(message: ServerMessage): void {
    switch (message.type) {
      case 'result':
        this.#calls.settle(message);
        break;
      case 'event':
        if (message.name === 'page-viewport') this.#viewport.update(message.detail);
        else this.#tell(message.name, message.detail);
        break;
      case 'policy':
        this.#policy(message);
        break;
      case 'tabs':
        this.#standing.tabs = embedTabs(message);
        this.#sites.show(this.#standing.tabs.find(({ active }) => active)?.url);
        break;
      case 'watching':
        this.#attached(message.tab);
        break;
      case 'dialog':
        if (message.kind === 'beforeunload' && this.#unloadAnswer !== 'prompt')
          this.#view.act({ type: 'dialog', id: message.id, accept: this.#unloadAnswer === 'accept' });
        break;
    }
  }

  /** Tells when it changes, not how the first connection is made. */
  #reached(connected: boolean, reason: string): void {
    const changed = this.#standing.connected !== connected;
    this.#standing.connected = connected;
    if (changed && (this.#standing.connections > 1 || !connected))
      this.#tell('usability-changed', { usable: connected, reason });
  }

  #policy({ policy, methods }: Received<'policy'>): void {
    const before = this.#methods.policy;
    this.#methods.update(policy, methods);
    this.#controls.useFeatures(policy);
    if (before !== null && JSON.stringify(before) !== JSON.stringify(policy)) this.#tell('bbx-policy-sync', { policy });
    if (this.#awaited) this.#greet();
  }

  /** Every `init` is answered: as soon as there is something to say, and from then on also while the connection is away. */
  #greet(): void {
    if (this.#ended) {
      this.#parent.tell(this.#ended);
      return;
    }
    this.#awaited = this.#methods.policy === null;
    if (this.#awaited) return;
    this.#tell('bbx-api-ready', { methods: this.#methods.names, policy: this.#methods.policy });
    this.#tell('tab-api-ready', {});
    this.#viewport.repeat();
  }

  #attached(tab: string): void {
    if (tab === this.#standing.watching) return;
    this.#standing.watching = tab;
    this.#tell('tab-attached', { id: tab, index: this.#standing.tabs.findIndex(({ id }) => id === tab) });
  }

  /** What is asked for too soon is done a little later, once. */
  #resetViewport(): void {
    if (this.#reset !== undefined) return;
    const pause = Math.max(this.#resetAt + RESET_EVERY_MS - performance.now(), 0);
    this.#reset = setTimeout(() => {
      this.#reset = undefined;
      this.#resetAt = performance.now();
      this.#browser.sizing.layOut();
      this.#browser.sizing.repeat();
      this.#view.connection.send({ type: 'refresh' });
      this.#viewport.repeat();
    }, pause);
  }

  #completed(method: string, args: readonly unknown[], value: unknown): unknown {
    if (method === 'getScreenMetrics') return { ...(value as object), surface: this.#viewport.place };
    const [, options] = args as readonly [unknown, ({ preview?: unknown } | null)?];
    if (method === 'generalizeSelection' && options?.preview === true) this.#preview.show(value);
    return value;
  }

  #wishes(): { readonly [K in keyof Wishes]: (wish: Wishes[K]) => void } {
    const warn = (event: Event) => event.preventDefault();
    return {
      chromeMode: (chrome) => this.#controls.useChrome(chrome),
      uiVisible: (visible) => this.#controls.show(visible),
      allowUserToggleUI: (allow) => this.#controls.allowToggle(allow),
      mediaPermissions: (names) => this.#sites.grant(names),
      sessionUnloadWarning: (on) => (on ? addEventListener : removeEventListener)('beforeunload', warn),
      beforeunloadBehavior: (answer) => (this.#unloadAnswer = answer),
      interactionMode: (mode) => {
        // The first thing that an embedder says is mostly how it is anyway.
        if (mode === this.#mode) return;
        this.#mode = mode;
        this.#view.connection.send({ type: 'interaction', mode });
        this.#browser.handsOff(mode === 'view-only');
        if (mode === 'view-only') this.#browser.context.say('You may look at this page, not act in it.');
      },
    };
  }
}

new Embed().start();
