// What the tests' functions use inside the embedder's page.

import './webview.js';

const TIMINGS = Symbol.for('vitrine.timings');
export const Webview = customElements.get('browserbox-webview');
/** A hundredth of the real ones. */
Object.assign(Webview[TIMINGS], {
  tickMs: 50,
  initsBeforeReload: 6,
  reloadStepMs: 20,
  reloadMostMs: 60,
  retryStepMs: 20,
  probeMs: 200,
  midAttempts: 4,
});
export const errors = [];
addEventListener('error', ({ message }) => errors.push(message));

/** An element with attributes, in the page, whose events are kept in `element.seen`. */
export function make(attributes, { name = 'browserbox-webview', into = document.body } = {}) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries({ height: '400', ...attributes }))
    element.setAttribute(attribute, value);
  element.seen = [];
  for (const type of EVENTS) element.addEventListener(type, ({ detail }) => element.seen.push([type, detail]));
  into.append(element);
  return element;
}

export const EVENTS = [
  'ready',
  'api-ready',
  'api.ready',
  'ready-timeout',
  'disconnected',
  'session.disconnected',
  'iframe-retry',
  'mid-synced',
  'mid-sync-timeout',
  'usability-changed',
  'session.usability.changed',
  'tab-created',
  'tab.created',
  'tab-closed',
  'tab.closed',
  'tab-updated',
  'tab.updated',
  'active-tab-changed',
  'tab.activated',
  'did-start-loading',
  'page.load.started',
  'did-stop-loading',
  'page.load.stopped',
  'did-navigate',
  'page.navigated',
  'policy-denied',
  'policy.denied',
  'policy.changed',
  'favicon-changed',
  'sos',
];

export async function ready(attributes, options) {
  const element = make(attributes, options);
  await element.whenReady({ timeoutMs: 10_000 });
  return element;
}

export const frameOf = (element) => element.shadowRoot.querySelector('iframe');
const script = (element, message) => frameOf(element).contentWindow.postMessage(message, '*');
export const say = (element, type, data) => script(element, { type: 'test-say', message: { type, data } });
export const rule = (element, method, given) => script(element, { type: 'test-rule', method, rule: given });
export const reloadPage = (element) => script(element, { type: 'test-reload' });

function asked(element, type) {
  return new Promise((resolve) => {
    const hear = ({ source, data }) => {
      if (source !== frameOf(element).contentWindow || data.type !== type) return;
      removeEventListener('message', hear);
      resolve(data.data);
    };
    addEventListener('message', hear);
    script(element, { type });
  });
}
/** What the session page was sent. */
export const heard = (element) => asked(element, 'test-heard');
/** The methods that had an effect, each once for its `callId`. */
export const effects = (element) => asked(element, 'test-effects');

export async function until(wanted, what = String(wanted)) {
  for (const end = performance.now() + 10_000; performance.now() < end;) {
    const found = await wanted();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`did not come: ${what}`);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const names = (element) => element.seen.map(([type]) => type);
/** The error that a promise rejects with, as data. */
export const failure = (promise) =>
  promise.then(
    () => null,
    (error) => ({ ...error.toJSON(), kind: error.constructor.name }),
  );
