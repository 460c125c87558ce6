//! The old protocol: three questions and some commands without an answer. Tabs and navigation are made of these for a
//! page that knows nothing newer; everything else is refused as unsupported.

import type { Tab } from './api.ts';
import type { Calls } from './calls.ts';
import type { Connection } from './connection.ts';
import { BrowserBoxError } from './errors.ts';
import { isRecord } from './policy.ts';
import { sleep } from './timings.ts';

const POLL_MS = 100;

type Method = (this: Legacy, ...args: never[]) => Promise<unknown>;

export class Legacy {
  readonly #calls: Calls;
  readonly #connection: Connection;
  #timeoutMs = 0;

  constructor(calls: Calls, connection: Connection) {
    this.#calls = calls;
    this.#connection = connection;
  }

  get methods(): readonly string[] {
    return Object.keys(METHODS);
  }

  async call(method: string, args: readonly unknown[], timeoutMs: number): Promise<unknown> {
    const emulated = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
    if (!emulated) throw new BrowserBoxError('ERR_UNSUPPORTED', `there is no legacy fallback for ${method}`);
    this.#timeoutMs = timeoutMs;
    await this.#connection.whenReady(timeoutMs);
    return emulated.apply(this, args as never[]);
  }

  async tabs(): Promise<readonly Tab[]> {
    const tabs = await this.#calls.ask({ type: 'getTabs' }, this.#timeoutMs);
    return Array.isArray(tabs) ? tabs.map(tabOf) : [];
  }

  async active(): Promise<Tab> {
    const found = (await this.tabs()).find(({ active }) => active);
    if (!found) throw new BrowserBoxError('ERR_NOT_FOUND', 'there is no active tab');
    return found;
  }

  async at(index: number): Promise<Tab> {
    const found = (await this.tabs())[index];
    if (!found) throw new BrowserBoxError('ERR_NOT_FOUND', `tab ${index} does not exist`);
    return found;
  }

  command(type: string, more: Readonly<Record<string, unknown>> = {}): { readonly ok: true } {
    this.#connection.post({ type, ...more });
    return { ok: true };
  }

  /** The tabs, once they are as wanted. */
  async until(
    wanted: (tabs: readonly Tab[]) => boolean,
    what: string,
    timeoutMs = this.#timeoutMs,
  ): Promise<readonly Tab[]> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const tabs = await this.tabs();
      if (wanted(tabs)) return tabs;
      if (Date.now() >= end) throw new BrowserBoxError('ERR_TIMEOUT', `${what} timed out`, { retriable: false });
      await sleep(POLL_MS);
    }
  }

  async create(url?: string): Promise<Tab> {
    const before = new Set((await this.tabs()).map(({ id }) => id));
    this.command('createTab', { data: { url } });
    const tabs = await this.until((now) => now.some(({ id }) => !before.has(id)), 'createTab');
    return tabs.find(({ id }) => !before.has(id)) ?? this.active();
  }

  load(tab: Tab, url: string): { readonly ok: true; readonly url: string; readonly tabId: string } {
    this.command('loadURL', { tabId: tab.id, data: { url } });
    return { ok: true, url, tabId: tab.id };
  }
}

const ofActive = (type: string): Method =>
  async function () {
    return this.command(type, { tabId: (await this.active()).id });
  };

const METHODS: Readonly<Record<string, Method>> = {
  async getTabs() {
    return this.tabs();
  },
  async getTabCount() {
    return (await this.tabs()).length;
  },
  async getActiveTab() {
    return (await this.tabs()).find(({ active }) => active) ?? null;
  },
  async getActiveTabIndex() {
    return (await this.tabs()).findIndex(({ active }) => active);
  },
  async createTab(url?: string) {
    return this.create(url);
  },
  async createTabs(count: number, options?: { url?: string }) {
    const made: Tab[] = [];
    while (made.length < count) made.push(await this.create(options?.url));
    return made;
  },
  async closeTab(index?: number) {
    const tab = index === undefined ? await this.active() : await this.at(index);
    return this.command('closeTab', { tabId: tab.id });
  },
  async closeTabById(tabId: string) {
    return this.command('closeTab', { tabId });
  },
  async closeAllTabs() {
    for (const { id } of await this.tabs()) this.command('closeTab', { tabId: id });
    return { ok: true };
  },
  async switchToTab(index: number) {
    return this.command('setActiveTab', { tabId: (await this.at(index)).id });
  },
  async switchToTabById(tabId: string) {
    return this.command('setActiveTab', { tabId });
  },
  async navigateTo(url: string) {
    return this.load(await this.active(), url);
  },
  async navigateTab(index: number, url: string) {
    return this.load(await this.at(index), url);
  },
  reload: ofActive('reload'),
  goBack: ofActive('goBack'),
  goForward: ofActive('goForward'),
  stop: ofActive('stop'),
  async waitForTabCount(count: number, options?: { timeoutMs?: number }) {
    return (await this.until(({ length }) => length === count, 'waitForTabCount', options?.timeoutMs)).length;
  },
  async waitForTabUrl(index: number, options?: { url?: string; includes?: string; timeoutMs?: number }) {
    const { url, includes, timeoutMs } = options ?? {};
    const matches = (tab?: Tab) =>
      tab !== undefined &&
      (url === undefined || tab.url === url) &&
      (includes === undefined || tab.url.includes(includes));
    return (await this.until((tabs) => matches(tabs[index]), 'waitForTabUrl', timeoutMs))[index];
  },
  async getFavicons() {
    return (await this.tabs()).map(({ id, index, faviconDataURI, isDefaultFavicon }) => ({
      tabId: id,
      index,
      faviconDataURI,
      isDefaultFavicon,
    }));
  },
  async getPageUrl() {
    return (await this.active()).url;
  },
  async getPageTitle() {
    return (await this.active()).title;
  },
  async getPageFavicon() {
    return (await this.active()).faviconDataURI;
  },
};

/** A tab with all its fields, whatever the page left out. */
export function tabOf(value: unknown, index: number): Tab {
  const tab = isRecord(value) ? value : {};
  const text = (name: string) => (typeof tab[name] === 'string' ? tab[name] : '');
  const flag = (name: string) => tab[name] === true;
  const favicon = text('faviconDataURI') || null;
  return {
    id: text('id'),
    index: typeof tab['index'] === 'number' ? tab['index'] : index,
    active: flag('active'),
    url: text('url'),
    title: text('title'),
    canGoBack: flag('canGoBack'),
    canGoForward: flag('canGoForward'),
    loading: flag('loading'),
    hasFavicon: favicon !== null || flag('hasFavicon'),
    isDefaultFavicon: tab['isDefaultFavicon'] !== false,
    faviconDataURI: favicon,
  };
}
