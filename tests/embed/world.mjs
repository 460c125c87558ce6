// What every test of the embed platform stands in: a real server with minutes, a site that remote browsers visit, an embedder's page on
// another origin in a real Chromium, and the element on it. `stop` leaves nothing behind.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { startServer } from '../clients/server.mjs';
import { answer } from './site.mjs';

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** The element as it was built, for tests that need no server. */
const BUILT = new URL('../../web/element/dist/webview.js', import.meta.url);
const MINUTES = 1_000;
const WAIT_MS = 20_000;
const STEP_MS = 30;

/** Every event that an element is documented to raise, legacy names and aliases. */
const EVENTS = [
  ...['ready', 'api-ready', 'ready-timeout', 'disconnected', 'iframe-retry', 'mid-synced', 'mid-sync-timeout', 'usability-changed'],
  ...['tab-created', 'tab-closed', 'tab-updated', 'active-tab-changed', 'did-start-loading', 'did-stop-loading', 'did-navigate'],
  ...['policy-denied', 'policy.changed', 'favicon-changed', 'sos', 'modal-opened', 'modal-updated', 'modal-closed'],
  ...['api.ready', 'tab.created', 'tab.closed', 'tab.updated', 'tab.activated', 'page.navigated', 'page.load.started'],
  ...['page.load.stopped', 'policy.denied', 'session.usability.changed', 'session.disconnected'],
];

/** An embedder's page: `embed` puts an element into it, `log` is all that elements said. */
const page = (script) => `<!doctype html><meta charset="utf-8"><title>Embedder</title><style>body{margin:0}</style>
<script type="module" src="${script}"></script><script>
  globalThis.log = [];
  globalThis.embed = (id, attributes) => {
    const element = document.createElement('browserbox-webview');
    element.id = id;
    for (const name of ${JSON.stringify(EVENTS)}) {
      element.addEventListener(name, ({ detail }) => log.push({ id, name, detail: structuredClone(detail ?? null), at: performance.now() }));
    }
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    document.body.append(element);
  };
</script>`;

/**
 * A page of ours on an origin of its own, with the element that `script` leads to; another `host` than the server's makes it another site
 * too.
 */
export async function serveEmbedder(script, host = 'localhost') {
  const server = createServer(async (request, response) => {
    const [type, body] = request.url === '/webview.js' ? ['text/javascript', await readFile(BUILT)] : ['text/html; charset=utf-8', page(script)];
    response.setHeader('Content-Type', type).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { origin: `http://${host}:${server.address().port}`, close: () => server.close() };
}

/** An embedder's page in a browser context of its own, without an element yet. */
export async function openPage(eyes, origin, options = {}) {
  const context = await eyes.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const host = await context.newPage();
  host.setDefaultTimeout(WAIT_MS);
  await host.goto(`${origin}/`);
  return host;
}

/** An element for `session` on `host`, which is ready unless `ready` is false. */
export async function embed(host, session, attributes = {}, { id = 'bbx', ready = true } = {}) {
  await host.evaluate(([name, values]) => embed(name, values), [id, { 'login-link': session.login_url, height: '700', ...attributes }]);
  const view = new Webview(host, id);
  if (ready) await view.run((element) => element.whenReady({ timeoutMs: 20_000 }));
  return view;
}

export const launch = (args = ['--no-sandbox']) => chromium.launch({ executablePath: CHROMIUM, args });

export async function startWorld(settings = {}, { browser = launch } = {}) {
  const server = await startServer(
    {
      VITRINE_RATE_LIMITS: '*=600000/10000',
      VITRINE_EGRESS_HOSTS: 'site.test=127.0.0.1,other.test=127.0.0.1',
      VITRINE_SANDBOXES_POOL: '0',
      VITRINE_MACHINE_REGION: 'iad',
      VITRINE_MACHINE_REGION_GLOBAL: 'na-east',
      ...settings,
    },
    answer,
  );
  const embedder = await serveEmbedder(`${server.base}/browserbox-webview.js`);
  const eyes = await browser();
  const site = (path = '') => new URL(path, server.page).href;
  const other = (path = '') => site(path).replace('site.test', 'other.test');

  /** Asks the embed API; brings the status, the body and the headers, whatever they are. */
  async function ask(method, path, { body, headers = {}, key = server.key } = {}) {
    const response = await fetch(`${server.base}${path}`, {
      method,
      headers: { ...(key && { Authorization: `Bearer ${key}` }), 'Content-Type': 'application/json', ...headers },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
  }
  /** Asks as the operator; an answer that is no success is an error. */
  async function admin(method, path, body) {
    const key = (await readFile(join(server.data, 'operator-key'), 'utf8')).trim();
    const { status, body: answer } = await ask(method, path, { body, key });
    if (status >= 400) throw new Error(`${status} ${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }
  /** A command of the operator, as JSON. */
  async function operate(...words) {
    const environment = { ...process.env, VITRINE_DATA_DIR: server.data, VITRINE_URL: server.base };
    const { stdout } = await promisify(execFile)(process.env.VITRINE_BINARY, ['--json', ...words], { env: environment });
    return JSON.parse(stdout);
  }
  /** A session that the embedder's page may frame. */
  async function claim(wish = {}) {
    const body = { minutes: 15, region: 'na-east', allowedEmbeddingOrigins: [embedder.origin], ...wish };
    const { status, body: session } = await ask('POST', '/api/v1/sessions', { body });
    if (status !== 201) throw new Error(`${status} for a session: ${JSON.stringify(session)}`);
    return session;
  }
  const release = ({ id }) => ask('DELETE', `/api/v1/sessions/${id}`);

  const open = (origin = embedder.origin, options = {}) => openPage(eyes, origin, options);
  async function stop() {
    await eyes.close();
    embedder.close();
    await server.stop();
  }
  try {
    await operate('minutes', 'grant', String(MINUTES));
  } catch (error) {
    await stop();
    throw error;
  }
  return { server, embedder, eyes, site, other, ask, admin, operate, claim, release, open, embed, stop };
}

/** One element on an embedder's page. */
export class Webview {
  constructor(host, id) {
    this.host = host;
    this.id = id;
    this.locator = host.locator(`#${id}`);
  }

  /** What `act` on the element answers; runs in the embedder's page, so that it uses nothing from outside itself. */
  run(act, argument) {
    return this.locator.evaluate(act, argument);
  }

  /** The error that `act` ends with; its value as `none` where it ends with none. */
  caught(act, argument) {
    return this.locator.evaluate(
      async (element, [text, given]) => {
        try {
          return { none: await globalThis.eval(`(${text})`)(element, given) };
        } catch (error) {
          const { name, message, code, status, retriable } = error;
          return { name, message, code, status, retriable, json: error.toJSON?.() };
        }
      },
      [String(act), argument],
    );
  }

  /** How many events there were: what comes later is read from there. */
  mark() {
    return this.host.evaluate(() => log.length);
  }

  /** The events of the element since `mark`. */
  async log(since = 0) {
    const events = await this.host.evaluate((from) => log.slice(from), since);
    return events.filter(({ id }) => id === this.id);
  }

  /** The detail of an event of `name` that `matches`, already seen since `mark` or to come. */
  async until(name, matches = () => true, since = 0, waitMs = WAIT_MS) {
    const deadline = Date.now() + waitMs;
    while (Date.now() < deadline) {
      const found = (await this.log(since)).find((event) => event.name === name && matches(event.detail));
      if (found) return found.detail;
      await pause(STEP_MS);
    }
    const names = (await this.log(since)).map((event) => event.name);
    throw new Error(`no ${name} within ${waitMs} ms, but ${names.join(', ') || 'nothing'}`);
  }

  /** The session's page in the element's iframe. */
  frame({ id }) {
    return eventually(() => this.host.frames().find((frame) => frame.url().includes(`/s/${id}/`)), `a frame of session ${id}`);
  }
}

/** Until `holds` does, asked again and again; what it brings. */
export async function eventually(holds, what, waitMs = WAIT_MS) {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${waitMs} ms: ${what}`);
    await pause(STEP_MS);
  }
}
