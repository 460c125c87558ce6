//! The demo page: a visitor's own browser for some minutes, what its element says, and any method of it to call.

import type { BrowserBoxWebview, EventRecord } from '../api.ts';

interface DemoSession {
  readonly id: string;
  readonly login_url: string;
  readonly expires_at: number;
}

/** Lines of the log; the oldest go. */
const LINES_MAX = 200;
/** Of one event or result in the page. */
const SHOWN_MAX = 20_000;
const COUNTDOWN_MS = 1000;
/** Examples by method; the others are what the page says it knows. */
const EXAMPLES: Readonly<Record<string, string>> = {
  'page.navigate': '"https://example.com"',
  'page.text': '{"mainContentOnly": true}',
  'page.title': '',
  'page.metrics': '',
  'tabs.list': '',
  'tabs.create': '{"url": "https://example.com", "active": true}',
  'capture.frame': '{"format": "jpeg", "quality": 70}',
  augment: '{"kind": "toast", "content": {"type": "text", "text": "Hello from the page around"}}',
  select: '{"prompt": "Pick a link"}',
  'policy.get': '',
  'session.health': '',
  'session.capabilities': '',
  act: '{"evaluate": "document.title"}',
  evaluate: '"location.href"',
  click: '"a"',
  type: '"input", "some words"',
  waitForSelector: '"h1", {"timeoutMs": 5000}',
  listApiMethods: '',
};

function find<E extends Element>(kind: new () => E, selector: string): E {
  const found = document.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`could not find ${selector}`);
  return found;
}

const status = find(HTMLElement, '#status');
const start = find(HTMLButtonElement, '#start');
const end = find(HTMLButtonElement, '#end');
const stage = find(HTMLElement, '#stage');
const form = find(HTMLFormElement, '#call');
const method = find(HTMLInputElement, '#method');
const given = find(HTMLTextAreaElement, '#arguments');
const send = find(HTMLButtonElement, '#call button');
const output = find(HTMLOutputElement, '#result');
const log = find(HTMLElement, '#log');
let current: { readonly session: DemoSession; readonly element: BrowserBoxWebview } | null = null;

async function ask(path: string, body?: object): Promise<Record<string, unknown>> {
  const post = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`api/session${path}`, { credentials: 'include', ...(body ? post : {}) });
  const answer: unknown = await response.json().catch(() => ({}));
  const fields = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
  if (response.ok) return fields;
  const wait = fields['waitMinutes'];
  const later = typeof wait === 'number' ? ` Try again in ${wait} minutes.` : '';
  throw new Error(`${String(fields['error'] ?? `The server answered ${response.status}.`)}${later}`);
}

function show(session: DemoSession): void {
  const element = document.createElement('browserbox-webview') as BrowserBoxWebview;
  element.setAttribute('interaction-mode', 'full');
  element.setAttribute('parent-origin', location.origin);
  element.loginLink = session.login_url;
  const observer = element.observe();
  observer.on(write);
  for (const name of ['sos', 'disconnected']) element.addEventListener(name, () => over('The browser is gone.'));
  current = { session, element };
  stage.replaceChildren(element);
  countDown();
  start.hidden = true;
  end.hidden = false;
  element.whenReady().then(
    () => void fillMethods(element),
    (error: unknown) => over(words(error)),
  );
}

function countDown(): void {
  if (!current) return;
  const seconds = Math.max(0, Math.floor((current.session.expires_at - Date.now()) / 1000));
  status.textContent = `Your browser is here for ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} more.`;
}

function over(sentence: string): void {
  if (!current) return;
  current = null;
  stage.replaceChildren();
  status.textContent = sentence;
  start.hidden = false;
  start.disabled = false;
  end.hidden = true;
  send.disabled = true;
}

async function fillMethods(element: BrowserBoxWebview): Promise<void> {
  send.disabled = false;
  const names = [...Object.keys(EXAMPLES), ...(await element.listApiMethods())];
  const options = [...new Set(names)].map((name) => {
    const option = document.createElement('option');
    option.value = name;
    return option;
  });
  find(HTMLDataListElement, '#methods').replaceChildren(...options);
}

function write({ type, timestamp, detail }: EventRecord): void {
  if (type === 'page-viewport') return;
  const line = document.createElement('li');
  const name = document.createElement('b');
  name.textContent = type;
  line.append(`${new Date(timestamp).toLocaleTimeString()} `, name, ` ${words(detail)}`);
  log.prepend(line);
  while (log.childElementCount > LINES_MAX) log.lastElementChild?.remove();
}

function words(value: unknown): string {
  if (value instanceof Error) return value.message;
  const text = typeof value === 'string' ? value : (JSON.stringify(value, null, 1) ?? 'undefined');
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

/** A method by its path: `page.navigate`, `click`, `select`. */
async function call(element: BrowserBoxWebview, path: string, args: readonly unknown[]): Promise<unknown> {
  let owner: unknown = null;
  let found: unknown = element;
  for (const name of path.split('.')) {
    owner = found;
    found = (owner as Record<string, unknown> | undefined)?.[name];
  }
  if (typeof found !== 'function') return element.callApi(path, ...args);
  const result: unknown = await Reflect.apply(found, owner, args);
  return path === 'select' ? (result as { getRaw(): unknown }).getRaw() : result;
}

function present(value: unknown): void {
  if (typeof value === 'string' && value.startsWith('data:image/')) {
    const picture = document.createElement('img');
    picture.src = value;
    picture.alt = 'Captured picture';
    output.replaceChildren(picture);
  } else output.textContent = words(value);
}

start.addEventListener('click', async () => {
  start.disabled = true;
  status.textContent = 'Starting a browser…';
  try {
    show((await ask('', {})) as unknown as DemoSession);
  } catch (error) {
    status.textContent = words(error);
    start.disabled = false;
  }
});

end.addEventListener('click', async () => {
  const sessionId = current?.session.id;
  over('Ended.');
  await ask('/disconnect', { mode: 'hard', sessionId }).catch((error: unknown) => (status.textContent = words(error)));
});

method.addEventListener('change', () => {
  const example = EXAMPLES[method.value];
  if (example !== undefined) given.value = example;
});

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (!current) return;
  delete output.dataset['failed'];
  output.textContent = '…';
  try {
    const args: unknown = JSON.parse(`[${given.value}]`);
    present(await call(current.element, method.value.trim(), args as unknown[]));
  } catch (error) {
    output.dataset['failed'] = '';
    const code = (error as { readonly code?: unknown }).code;
    output.textContent = `${typeof code === 'string' ? `${code}: ` : ''}${words(error)}`;
  }
});

// Left: the server keeps the browser for a while, in case the visitor comes back.
addEventListener('pagehide', () => {
  if (!current) return;
  navigator.sendBeacon('api/session/disconnect', JSON.stringify({ mode: 'defer', sessionId: current.session.id }));
});

setInterval(countDown, COUNTDOWN_MS);

try {
  const found = await ask('/status');
  if (found['active'] === true) show(found as unknown as DemoSession);
  else status.textContent = 'You get a browser of your own for 15 minutes.';
} catch (error) {
  status.textContent = words(error);
}
start.hidden = current !== null;
