// Demo sessions: a cookie instead of a key, one browser for each, and who may ask.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

let world;
before(async () => (world = await startWorld()));
after(() => world?.stop());

/** A visitor: keeps the cookie, comes from the server's own page unless said otherwise. */
function visitor(origin = world.server.base) {
  const jar = { cookie: undefined };
  return {
    jar,
    async ask(method, path, { body, headers = {}, type = 'application/json' } = {}) {
      const response = await fetch(`${world.server.base}${path}`, {
        method,
        headers: { ...(body !== undefined && { 'Content-Type': type }), ...(origin && { Origin: origin }), ...(jar.cookie && { Cookie: jar.cookie }), ...headers },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const set = response.headers.getSetCookie().find((line) => line.startsWith('bbx_sid='));
      if (set) Object.assign(jar, { cookie: set.split(';')[0], line: set });
      const text = await response.text();
      return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text };
    },
  };
}

behaviour(
  'a visitor gets one browser and finds it again',
  ['POST /api/session', 'GET /api/session/status', 'cookie bbx_sid', 'POST /api/session/disconnect', 'disconnect field mode defer', 'disconnect field mode hard', 'disconnect field sessionId'],
  async () => {
    const { jar, ask } = visitor();
    assert.deepEqual((await ask('GET', '/api/session/status')).body, { active: false });
    const made = await ask('POST', '/api/session');
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { id, provider, region, machine_id, login_url, duration_minutes, created_at, expires_at } = made.body;
    assert.deepEqual([provider, region, duration_minutes, expires_at - created_at], ['local', 'iad', 15, 900_000]);
    assert.ok(login_url.endsWith(`mid=${machine_id}`));
    assert.match(jar.line, /HttpOnly/i);
    const again = await ask('POST', '/api/session');
    assert.deepEqual([again.status, again.body.id], [200, id]);
    assert.deepEqual((await ask('GET', '/api/session/status')).body, { active: true, ...again.body });
    assert.deepEqual((await visitor().ask('GET', '/api/session/status')).body, { active: false });
    const left = await ask('POST', '/api/session/disconnect', { body: { mode: 'defer' } });
    assert.deepEqual(left.body, { ok: true, mode: 'defer', ended: 0, marked: 1 });
    assert.equal((await ask('GET', '/api/session/status')).body.active, true, 'it may come back');
    const beacon = await ask('POST', '/api/session/disconnect', { body: { sessionId: 'another' }, type: 'text/plain;charset=UTF-8' });
    assert.deepEqual([beacon.body.mode, beacon.body.marked], ['defer', 0]);
    const ended = await ask('POST', '/api/session/disconnect', { body: { mode: 'hard', sessionId: id } });
    assert.deepEqual(ended.body, { ok: true, mode: 'hard', ended: 1, marked: 0 });
    await eventually(async () => (await ask('GET', '/api/session/status')).body.active === false, 'it is over');
    assert.equal((await ask('POST', '/api/session/disconnect', { body: { mode: 'soft' } })).status, 400);
  },
);

behaviour('strangers’ pages get no demo', ['demo origin check', 'demo refuses allowedEmbeddingOrigins'], async () => {
  assert.equal((await visitor('https://evil.test').ask('POST', '/api/session')).status, 403);
  assert.equal((await visitor('https://evil.test').ask('POST', '/api/session/disconnect', { body: {} })).status, 403);
  assert.equal((await visitor('null').ask('POST', '/api/session')).status, 403);
  const refused = await visitor().ask('POST', '/api/session', { body: { allowedEmbeddingOrigins: ['https://app.example.com'] } });
  assert.equal(refused.status, 400);
  assert.ok(refused.body.code);
});

behaviour('the demo page gives a visitor a browser', ['/demo'], async () => {
  const context = await world.eyes.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${world.server.base}/demo`);
  await page.getByRole('button', { name: /start|browser|session/i }).first().click();
  const element = page.locator('browserbox-webview, vitrine-webview').first();
  await element.waitFor({ timeout: 20_000 });
  await eventually(() => element.evaluate((view) => view.session?.ready === true), 'the element is ready');
  await element.evaluate((view, url) => view.navigateTo(url), world.site('one'));
  await page.getByText('page.navigated').first().waitFor();
  await page.reload();
  await eventually(() => page.locator('browserbox-webview, vitrine-webview').first().evaluate((view) => view.session?.ready === true).catch(() => false), 'resumed');
  assert.equal(await page.locator('browserbox-webview, vitrine-webview').first().evaluate((view) => view.page.title()), 'One');
  await pause(100);
  assert.deepEqual(complaints, []);
  await context.close();
});
