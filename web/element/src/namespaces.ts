//! The same calls by subject: `session`, `tabs`, `page`, `capture`, `select`. What the page answers is brought into
//! one shape here, so that an embedder's code does not depend on which page it was.

import type {
  CaptureNamespace,
  CaptureOptions,
  Metrics,
  Options,
  PageNamespace,
  RawSelection,
  Rect,
  SelectionResult,
  SelectNamespace,
  Tab,
  TabsNamespace,
} from './api.ts';
import { BrowserBoxError } from './errors.ts';
import { tabOf } from './legacy.ts';
import { isRecord } from './policy.ts';

type Call = (method: string, ...args: readonly unknown[]) => Promise<unknown>;

export function tabsOf(call: Call): TabsNamespace {
  const active = async (): Promise<Tab | null> => {
    const tab = await call('getActiveTab');
    return isRecord(tab) ? tabOf(tab, 0) : null;
  };
  return {
    async list() {
      const tabs = await call('getTabs');
      return Array.isArray(tabs) ? tabs.map(tabOf) : [];
    },
    getActive: active,
    async create({ url, active: shown = true } = {}) {
      if (shown) return call('createTab', url);
      const before = await active();
      const made = await call('createTab', url, { active: false });
      // Not every page knows how to open a tab in the background.
      if (before && (await active())?.id !== before.id) await call('switchToTabById', before.id);
      return made;
    },
    activate: (tabId) => call('switchToTabById', tabId),
    close: (tabId) => call('closeTabById', tabId),
    closeAll: () => call('closeAllTabs'),
  };
}

export function pageOf(call: Call): PageNamespace {
  return {
    navigate: (url, ...options) => call('navigateTo', url, ...options) as ReturnType<PageNamespace['navigate']>,
    reload: () => call('reload'),
    back: () => call('goBack'),
    forward: () => call('goForward'),
    stop: () => call('stop'),
    url: async () => String((await call('getPageUrl')) ?? ''),
    title: async () => String((await call('getPageTitle')) ?? ''),
    async favicon() {
      const favicon = await call('getPageFavicon');
      const data = isRecord(favicon) ? favicon['faviconDataURI'] : favicon;
      return typeof data === 'string' && data !== '' ? data : null;
    },
    metrics: async () => metricsOf(await call('getScreenMetrics')),
    text: async ({ mainContentOnly = false } = {}) => String((await call('getPageText', { mainContentOnly })) ?? ''),
  };
}

function metricsOf(value: unknown): Metrics {
  const metrics = isRecord(value) ? value : {};
  const figure = (name: string, unsaid: number): number => {
    const found = metrics[name];
    return typeof found === 'number' ? found : unsaid;
  };
  const width = figure('width', 0);
  const height = figure('height', 0);
  const { surface } = metrics;
  return {
    viewport: { width, height, scale: figure('devicePixelRatio', 1), zoom: figure('zoom', 1) },
    document: { width: figure('documentWidth', width), height: figure('documentHeight', height) },
    scroll: { x: figure('scrollX', 0), y: figure('scrollY', 0) },
    surface: isRecord(surface) ? (surface as unknown as Rect) : null,
  };
}

export function captureOf(call: Call): CaptureNamespace {
  const capture = async (scope: 'frame' | 'viewport', { format, quality }: CaptureOptions = {}) => {
    const picture = await call('captureFrame', { scope, format, quality });
    if (typeof picture !== 'string') throw new BrowserBoxError('ERR_INTERNAL', 'the page gave no picture');
    return picture;
  };
  return { frame: (options) => capture('frame', options), viewport: (options) => capture('viewport', options) };
}

export function selectOf(call: Call): SelectNamespace {
  const result = (value: unknown): SelectionResult => {
    const found = isRecord(value) ? value : {};
    const items = Array.isArray(found['items']) ? found['items'].filter(isRecord) : [];
    return {
      selector: String(found['selector'] ?? ''),
      items: items.map(({ text, href, html }) => ({
        text: String(text ?? ''),
        href: typeof href === 'string' ? href : null,
        html: String(html ?? ''),
      })),
      count: typeof found['count'] === 'number' ? found['count'] : items.length,
    };
  };
  const select: SelectNamespace = Object.assign(
    async ({ prompt, intent }: { readonly prompt?: string; readonly intent?: string } = {}) => {
      const raw = rawOf(await call('beginSelect', { prompt, intent }));
      // Of the one that was picked, until it was generalised.
      let { selector } = raw;
      const generalize = async (options: Options = {}) => {
        const found = result(await call('generalizeSelection', raw, options));
        selector = found.selector || selector;
        return found;
      };
      return {
        getRaw: () => raw,
        generalize,
        preview: (options = {}) => generalize({ ...options, preview: true }),
        extract: async (options = {}) => result(await call('extractSelection', { ...raw, selector }, options)),
      };
    },
    { cancel: () => call('cancelSelect') },
  );
  return select;
}

function rawOf(value: unknown): RawSelection {
  const raw = isRecord(value) ? value : {};
  const text = (name: string) => (typeof raw[name] === 'string' ? raw[name] : '');
  const selectors = Array.isArray(raw['selectors']) ? raw['selectors'].filter((one) => typeof one === 'string') : [];
  return {
    selector: text('selector'),
    selectors,
    text: text('text'),
    href: text('href') || null,
    htmlSnippet: text('htmlSnippet'),
  };
}
