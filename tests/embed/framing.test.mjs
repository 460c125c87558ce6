// Who may frame a session's page, judged by a real browser; and logging in with no cookies, from names, over plain http.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createSecureServer } from 'node:https';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before } from 'node:test';
import { chromium } from 'playwright-core';
import { behaviour } from './behaviour.mjs';
import { CHROMIUM, embed, eventually, launch, startWorld } from './world.mjs';

/** Every name leads here, and every certificate is believed. */
const NAMES = ['--no-sandbox', '--host-resolver-rules=MAP * 127.0.0.1', '--ignore-certificate-errors'];

let world;
let shops;
let host;
before(async () => {
  world = await startWorld({}, { browser: () => launch(NAMES) });
  shops = await serveShops();
});
after(async () => {
  shops?.close();
  await world?.stop();
});
afterEach(() => host?.context().close());

/** An embedder that is reached by any name, over https and http. */
async function serveShops() {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-shops-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const made = spawn('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-subj', '/CN=shop.test', '-days', '2'], { stdio: 'ignore' });
  await once(made, 'close');
  const page = await (await fetch(`${world.embedder.origin}/`)).text();
  const answer = (request, response) => response.setHeader('Content-Type', 'text/html; charset=utf-8').end(page);
  const servers = [createSecureServer({ key: await readFile(key), cert: await readFile(cert) }, answer), createServer(answer)];
  await rm(folder, { recursive: true });
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  const [secure, plain] = servers.map((server) => server.address().port);
  return { secure: (name) => `https://${name}:${secure}`, plain: (name) => `http://${name}:${plain}`, close: () => servers.forEach((server) => server.close()) };
}

const framed = async (session, origin, options = {}) => {
  host = await world.open(origin, { ignoreHTTPSErrors: true, ...options });
  return embed(host, session, {}, { ready: false });
};
const shows = async (session, origin) => {
  const view = await framed(session, origin);
  await view.run((element) => element.whenReady({ timeoutMs: 20_000 }));
  assert.equal(await view.run((element) => element.getTabCount()), 1);
  await host.context().close();
};
const refuses = async (session, origin) => {
  const view = await framed(session, origin);
  const complaint = host.waitForEvent('console', (message) => /frame-ancestors/.test(message.text()));
  await view.run((element) => element.refresh());
  await complaint;
  assert.equal(await view.run((element) => element.session.ready), false);
  await host.context().close();
};

behaviour(
  'a session is framed by whom it names, and by nobody else',
  ['session field allowedEmbeddingOrigins', 'frame-ancestors exact origin', 'frame-ancestors wildcard host', 'frame-ancestors wildcard port', 'frame-ancestors refusal', '/login', '/s/SESSION/'],
  async () => {
    const exact = shops.secure('shop.example.com');
    const session = await world.claim({ allowedEmbeddingOrigins: [exact] });
    await shows(session, exact);
    await refuses(session, shops.secure('other.example.com'));
    await refuses(session, shops.plain('shop.example.com'));
    await world.release(session);
    const wild = await world.claim({ allowedEmbeddingOrigins: ['https://*.customer.example:*'] });
    await shows(wild, shops.secure('a.customer.example'));
    await shows(wild, shops.secure('b.a.customer.example'));
    await refuses(wild, shops.secure('customer.example.evil.test'));
    await world.release(wild);
    const ports = await world.claim({ allowedEmbeddingOrigins: ['https://*.customer.example'] });
    await refuses(ports, shops.secure('a.customer.example'));
    await world.release(ports);
    const nobody = await world.claim({ allowedEmbeddingOrigins: [] });
    await refuses(nobody, exact);
    await world.release(nobody);
  },
);

behaviour('answers say who may frame them, and keep their address to themselves', ['/login', '/s/SESSION/'], async () => {
  const session = await world.claim({ allowedEmbeddingOrigins: ['https://app.example.com'] });
  const login = await fetch(session.login_url, { redirect: 'manual' });
  assert.equal(login.status, 302);
  const page = await fetch(new URL(login.headers.get('location'), session.login_url));
  for (const response of [login, page]) {
    const policy = response.headers.get('content-security-policy');
    const [, ancestors] = /frame-ancestors ([^;]*)/.exec(policy);
    assert.ok(ancestors.split(' ').includes("'self'") && ancestors.split(' ').includes('https://app.example.com'), policy);
    assert.equal(response.headers.get('referrer-policy'), 'no-referrer');
    assert.equal(response.headers.get('x-frame-options'), null);
  }
  assert.ok(!login.headers.get('location').includes(new URL(session.login_url).searchParams.get('token')), 'the login token does not travel on');
  await world.release(session);
});

behaviour('an address that has been used tells nothing', ['/login', '/s/SESSION/'], async () => {
  const session = await world.claim({ allowedEmbeddingOrigins: [shops.secure('shop.example.com')] });
  const view = await framed(session, shops.secure('shop.example.com'));
  await view.run((element) => element.whenReady());
  const frame = await view.frame(session);
  const address = new URL(frame.url());
  assert.equal(address.hash, '');
  assert.equal(await frame.evaluate(() => location.hash + location.search), '');
  assert.equal(await frame.evaluate(() => document.referrer), '');
  await world.release(session);
});

behaviour('a browser that blocks third-party cookies logs in and sees', ['login without third-party cookies'], async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-strict-'));
  await mkdir(join(folder, 'Default'), { recursive: true });
  const preferences = { profile: { cookie_controls_mode: 1, block_third_party_cookies: true } };
  await writeFile(join(folder, 'Default', 'Preferences'), JSON.stringify(preferences));
  const session = await world.claim({ allowedEmbeddingOrigins: [shops.secure('shop.example.com')] });
  const strict = await chromium.launchPersistentContext(folder, { executablePath: CHROMIUM, args: NAMES, ignoreHTTPSErrors: true });
  try {
    const page = await strict.newPage();
    await page.goto(`${shops.secure('shop.example.com')}/`);
    const view = await embed(page, session);
    await view.run((element, url) => element.navigateTo(url), world.site('form'));
    const frame = await view.frame(session);
    await eventually(() => frame.evaluate(() => document.querySelector('#picture')?.width > 300), 'a picture');
    await view.run((element) => element.refresh());
    await view.run((element) => element.whenReady({ timeoutMs: 20_000 }));
    assert.equal(await view.run((element) => element.page.title()), 'A form');
  } finally {
    await strict.close();
    await rm(folder, { recursive: true, force: true });
    await world.release(session);
  }
});

behaviour('plain http on a name that is not local', ['login over plain http on a name'], async () => {
  const named = await startWorld({}, { browser: () => launch(NAMES) });
  try {
    const session = await named.claim({ allowedEmbeddingOrigins: [shops.plain('shop.example.com')] });
    const login = new URL(session.login_url);
    login.hostname = 'vitrine.example.com';
    host = await named.open(shops.plain('shop.example.com'));
    const view = await embed(host, { login_url: login.href });
    await view.run((element, url) => element.navigateTo(url), named.site('form'));
    const frame = await view.frame(session);
    assert.equal(await frame.evaluate(() => isSecureContext), false);
    await eventually(() => frame.evaluate(() => document.querySelector('#picture')?.width > 300), 'a picture');
    await named.release(session);
  } finally {
    await named.stop();
  }
});

behaviour('links that open nothing say so kindly', ['login with a wrong or ended token', 'event sos'], async () => {
  const session = await world.claim({ allowedEmbeddingOrigins: [shops.secure('shop.example.com')] });
  const wrong = session.login_url.replace(/token=[^&]*/, 'token=nothing');
  const answer = await fetch(wrong);
  assert.ok([401, 404, 410].includes(answer.status), `${answer.status}`);
  assert.match(await answer.text(), /<html/i);
  const view = await framed({ login_url: wrong }, shops.secure('shop.example.com'));
  const { reasonCode, message } = await view.until('sos');
  assert.ok(reasonCode && message);
  await world.release(session);
  const ended = await embed(host, session, {}, { id: 'ended', ready: false });
  assert.ok((await ended.until('sos')).reasonCode);
});

behaviour('the element is one module for every origin', ['/browserbox-webview.js', '/vitrine-webview.js'], async () => {
  for (const name of ['browserbox-webview', 'vitrine-webview']) {
    const answer = await fetch(`${world.server.base}/${name}.js`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /javascript/);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    const tag = answer.headers.get('etag');
    assert.ok(tag);
    const again = await fetch(`${world.server.base}/${name}.js`, { headers: { 'If-None-Match': tag } });
    assert.equal(again.status, 304);
  }
  const session = await world.claim({ allowedEmbeddingOrigins: [shops.secure('shop.example.com')] });
  host = await world.open(shops.secure('shop.example.com'), { ignoreHTTPSErrors: true });
  const ready = await host.evaluate(async ([base, link]) => {
    await import(`${base}/vitrine-webview.js`);
    const element = document.createElement('vitrine-webview');
    element.setAttribute('login-link', link);
    document.body.append(element);
    return element.whenReady({ timeoutMs: 20_000 });
  }, [world.server.base, session.login_url]);
  assert.equal(ready, true);
  await world.release(session);
});
