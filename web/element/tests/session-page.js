// The session page's end of the protocol, without a remote browser behind it: tabs are a list, and every message that
// came is kept. The embedder of the tests scripts it by messages of its own (`test-…`), which a real page would not
// know.

const kind = new URL(import.meta.url).search.slice(1);
const heard = [];
const tabs = [{ id: 'T1', url: 'https://example.com/', title: 'First', active: true }];
const effects = new Map();
const rules = new Map();
const policy = {
  schemaVersion: 1,
  policyProfile: 'session',
  policyId: 'P',
  baselineId: 'default',
  policyVersion: 1,
  issuedAt: 1,
  updatedAt: 1,
  apiCapabilities: {},
};
let serial = 1;

const methods = {
  getTabs: () => tabs.map((tab, index) => ({ ...tab, index, canGoBack: false, canGoForward: false, loading: false })),
  getTabCount: () => tabs.length,
  getActiveTab: () => methods.getTabs().find(({ active }) => active) ?? null,
  getActiveTabIndex: () => tabs.findIndex(({ active }) => active),
  createTab(url = 'about:blank', { active = true } = {}) {
    const tab = { id: `T${++serial}`, url, title: '', active: false };
    tabs.push(tab);
    say('tab-created', { index: tabs.length - 1, id: tab.id, url });
    if (active) methods.switchToTabById(tab.id);
    return tab;
  },
  switchToTabById(id) {
    for (const tab of tabs) tab.active = tab.id === id;
    say('active-tab-changed', { index: tabs.findIndex((tab) => tab.id === id), id });
    return { ok: true };
  },
  closeTabById(id) {
    const index = tabs.findIndex((tab) => tab.id === id);
    if (index < 0) throw failure('tab does not exist', 'ERR_NOT_FOUND', 404);
    tabs.splice(index, 1);
    say('tab-closed', { index, id });
    return { ok: true };
  },
  navigateTo(url) {
    const tab = tabs.find(({ active }) => active);
    tab.url = url;
    say('did-start-loading', { tabId: tab.id, url });
    say('did-navigate', { tabId: tab.id, url });
    say('did-stop-loading', { tabId: tab.id, url });
    return { ok: true, url, tabId: tab.id };
  },
  getPageUrl: () => methods.getActiveTab().url,
  getPageTitle: () => methods.getActiveTab().title,
  getPageText: ({ mainContentOnly } = {}) => (mainContentOnly ? 'main' : 'all'),
  getScreenMetrics: () => ({
    width: 640,
    height: 360,
    scrollX: 0,
    scrollY: 5,
    zoom: 1,
    devicePixelRatio: 2,
    documentHeight: 900,
  }),
  getTransportDiagnostics: () => ({ rttMs: 1, fps: 25, kbps: 10, framesDropped: 0, codec: 'h264' }),
  evaluate: (expression) => ({ result: { type: 'string', value: `value of ${expression}` } }),
  click: () => ({ result: true }),
  type: () => ({ result: true }),
  waitForSelector: () => true,
  waitForNavigation: () => true,
  captureFrame: ({ scope }) => `data:image/png;base64,${btoa(scope)}`,
  getFrame: () => ({ seq: 1, width: 2, height: 2, mime: 'image/png', bytes: new Uint8Array([1, 2]) }),
  resolvePageTarget: ({ selector }, { maxMatches = 1 } = {}) => ({
    matches: [
      { x: 100, y: 200, width: 50, height: 20 },
      { x: 100, y: 300, width: 50, height: 20 },
    ].slice(0, maxMatches),
    matchCount: 2,
    sample: [{ text: selector, href: null }],
  }),
  beginSelect: () => ({ selector: 'a', selectors: ['a', 'p > a'], text: 'A link', href: null, htmlSnippet: '<a>' }),
  generalizeSelection: ({ selector }) => ({
    selector: `${selector}, b`,
    items: [{ text: 'A link', href: null, html: '<a>' }],
    count: 1,
  }),
  extractSelection: ({ selector }) => ({ selector, items: [], count: 0 }),
  uiVisible: (visible = true) => visible,
  allowUserToggleUI: (allow = true) => allow,
  getCurrentModal: () => null,
  getPolicy: () => policy,
};

function failure(message, code, status, retriable) {
  return Object.assign(new Error(message), { code, status, retriable });
}

function say(type, data) {
  parent.postMessage({ type, data }, '*');
}

/** What a test asked for this method: to fail so many times, or not to answer. */
function ruled(method) {
  const rule = rules.get(method);
  if (!rule || rule.times === 0) return null;
  rule.times -= 1;
  return rule;
}

async function call({ requestId, data }) {
  const { method, args, callId } = data;
  const reply = (answer) => parent.postMessage({ type: 'bbx-api-result', requestId, ...answer }, '*');
  const rule = ruled(method);
  if (rule?.effect && !effects.has(callId)) effects.set(callId, method);
  if (rule?.silent) return;
  if (rule) return reply({ error: rule.error, code: rule.code, status: rule.status, retriable: rule.retriable });
  if (!Object.hasOwn(methods, method)) return reply({ error: `unknown api method ${method}` });
  if (callId && !effects.has(callId)) effects.set(callId, method);
  try {
    reply({ data: await methods[method](...args) });
  } catch ({ message, code, status, retriable }) {
    reply({ error: message, code, status, retriable });
  }
}

function legacy({ type, requestId, tabId, data }) {
  const answer = (value) => parent.postMessage({ type, requestId, data: value }, '*');
  switch (type) {
    case 'getTabs':
    case 'getActiveTab':
    case 'getTabCount':
      return answer(methods[type]());
    case 'createTab':
      return methods.createTab(data.url);
    case 'closeTab':
      return methods.closeTabById(tabId);
    case 'setActiveTab':
      return methods.switchToTabById(tabId);
    case 'loadURL':
      return methods.navigateTo(data.url);
  }
}

addEventListener('message', (event) => {
  if (event.source !== parent) return;
  const message = event.data;
  heard.push({ ...message, origin: event.origin });
  switch (message.type) {
    case 'test-heard':
      return say('test-heard', heard);
    case 'test-effects':
      return say('test-effects', [...effects.values()]);
    case 'test-say':
      return parent.postMessage(message.message, '*');
    case 'test-rule':
      return void rules.set(message.method, message.rule);
    case 'test-reload':
      return location.reload();
  }
  if (kind === 'silent') return;
  if (message.type === 'init') {
    if (kind === 'lost')
      return say('bbx-sos', { reasonCode: 'session_ended', message: 'The session is over.', retryUrl: null });
    if (kind === 'modern' || kind === 'deaf') say('bbx-api-ready', { methods: Object.keys(methods), policy });
    say('tab-api-ready');
  }
  if (message.type === 'bbx-mid-sync' && kind !== 'deaf') say('bbx-mid-ack', { mid: message.data.mid });
  if (message.type === 'bbx-ui-sync') say('bbx-ui-ack');
  if (kind !== 'legacy' && message.type === 'bbx-api-list')
    parent.postMessage({ type: 'bbx-api-result', requestId: message.requestId, data: Object.keys(methods) }, '*');
  if (kind !== 'legacy' && message.type === 'bbx-api-call') void call(message);
  else legacy(message);
});
if (kind !== 'silent') say('bbx-ui-request');
