// The REST endpoints end to end: claims, replays, ends, the balance after each, and every documented status.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

/** Two places in all, so that the third claim finds none. */
const SETTINGS = { VITRINE_MACHINE_SLOTS: '2', VITRINE_POOL_BROWSERS: '1' };
const MINUTE_MS = 60_000;

let world;
before(async () => (world = await startWorld(SETTINGS)));
after(() => world?.stop());

const post = (body, options = {}) => world.ask('POST', '/api/v1/sessions', { body, ...options });
const balance = async () => (await world.ask('GET', '/api/v1/balance')).body;
const refusal = ({ status, body }) => [status, body.code];

behaviour(
  'a session is claimed, shown and ended, to the minute',
  ['POST /api/v1/sessions', 'GET /api/v1/sessions/:id', 'DELETE /api/v1/sessions/:id', 'GET /api/v1/balance', 'session field minutes', 'session field region', 'header Authorization'],
  async () => {
    const before = await balance();
    for (const name of ['balance_minutes', 'reserved_minutes', 'lifetime_minutes', 'active_sessions', 'concurrent_limit']) {
      assert.equal(typeof before[name], 'number', name);
    }
    assert.ok('plan' in before && 'email' in before);
    const asked = Date.now();
    const made = await post({ minutes: 20, region: 'na-east' });
    assert.equal(made.status, 201);
    const { id, provider, region, machine_id, login_url, duration_minutes, created_at, expires_at } = made.body;
    assert.deepEqual([provider, region, duration_minutes], ['local', 'na-east', 20]);
    assert.match(machine_id, /^[0-9a-f]{14}$/);
    assert.equal(expires_at - created_at, 20 * MINUTE_MS);
    assert.ok(Math.abs(created_at - asked) < 30_000);
    const link = new URL(login_url);
    assert.deepEqual([link.origin, link.pathname, link.searchParams.get('mid')], [world.server.base, '/login', machine_id]);
    assert.ok(link.searchParams.get('token').length > 20);
    const held = await balance();
    assert.deepEqual(
      [held.balance_minutes, held.reserved_minutes, held.active_sessions, held.lifetime_minutes],
      [before.balance_minutes - 20, before.reserved_minutes + 20, before.active_sessions + 1, before.lifetime_minutes],
    );
    const { body: shown } = await world.ask('GET', `/api/v1/sessions/${id}`);
    const { status, deleted_at, ...rest } = shown;
    assert.equal(deleted_at, null);
    assert.ok(['ready', 'active'].includes(status), status);
    for (const [name, value] of Object.entries(rest)) assert.deepEqual(value, made.body[name], name);
    const first = await world.release({ id });
    assert.deepEqual([first.status, first.body], [200, { id, status: 'ended', refunded_minutes: 19 }]);
    assert.deepEqual((await world.release({ id })).body, first.body, 'a second time the same');
    const settled = await balance();
    assert.deepEqual([settled.balance_minutes, settled.reserved_minutes, settled.active_sessions], [before.balance_minutes - 1, before.reserved_minutes, before.active_sessions]);
    const ended = (await world.ask('GET', `/api/v1/sessions/${id}`)).body;
    assert.ok(ended.deleted_at >= created_at);
  },
);

behaviour('where a session runs is said in three ways', ['session field clientIP', 'session field client_ip', 'session field lat + lon', '400 missing_region'], async () => {
  for (const place of [{ clientIP: '93.184.216.34' }, { client_ip: '2606:2800:220:1::1' }, { lat: 40.7, lon: -74 }]) {
    const { status, body } = await post({ minutes: 1, ...place });
    assert.equal(status, 201, JSON.stringify(body));
    assert.equal(body.region, 'na-east');
    await world.release(body);
  }
  const { status, body } = await post({ minutes: 1 });
  assert.equal(status, 400);
  assert.deepEqual(body, { error: 'Provide clientIP, or region (global code), or lat+lon for geo-routing', code: 'missing_region' });
  for (const place of [{ lat: 40.7 }, { lon: -74 }]) assert.equal((await post(place)).status, 400);
  for (const place of [{ clientIP: '10.0.0.1' }, { clientIP: 'nowhere' }, { lat: 91, lon: 0 }, { lat: 0, lon: 181 }, { region: 5 }, { region: '' }]) {
    assert.equal((await post(place)).status, 400, JSON.stringify(place));
  }
});

behaviour('every wrong field is named', ['400 invalid_field', '400 invalid_json', '400 invalid_origin'], async () => {
  for (const minutes of [0, -1, 121, 1.5, '15', null, [], {}, true, 1e99]) {
    const answer = await post({ minutes, region: 'na-east' });
    assert.deepEqual(refusal(answer), [400, 'invalid_field'], JSON.stringify(minutes));
    assert.match(answer.body.error, /minutes/);
  }
  for (const text of ['', '{', '[]', '"x"', '{"minutes": 1,}', 'minutes=5']) assert.deepEqual(refusal(await post(text)), [400, 'invalid_json'], text);
  const odd = ['https://app.example.com/path', 'https://app.example.com?x', 'https://app.example.com#x', 'https://user:pw@app.example.com', '*', 'https://*', 'https://a.*.example', 'https://*example.com', 'http://*.example.com', 'ftp://x', 'app.example.com', 'https://app.example.com; script-src *', "https://x.test' *", 'https://x.test:0', 'https://x.test:99999', 'null', '', 5, null];
  for (const origin of odd) {
    const { status, body } = await post({ minutes: 1, region: 'na-east', allowedEmbeddingOrigins: [origin] });
    assert.ok(status === 400 && ['invalid_origin', 'invalid_field'].includes(body.code), `${origin}: ${status} ${JSON.stringify(body)}`);
  }
  for (const list of ['https://x.test', { 0: 'https://x.test' }, 7]) assert.equal((await post({ minutes: 1, region: 'na-east', allowedEmbeddingOrigins: list })).status, 400);
  assert.equal((await balance()).reserved_minutes, 0, 'nothing is held for what was refused');
});

behaviour('a key opens what it may', ['401 unauthorized', '403 permission_denied', '404 not_found'], async () => {
  for (const key of ['', 'bbx_nothing', `bbx_${'0'.repeat(48)}`]) {
    assert.deepEqual(refusal(await post({ minutes: 1, region: 'na-east' }, { key })), [401, 'unauthorized']);
    assert.deepEqual(refusal(await world.ask('GET', '/api/v1/balance', { key })), [401, 'unauthorized']);
  }
  const { key } = await world.server.api('POST', '/v1/api-keys', { name: 'reading', permissions: ['browser_sessions:read'] });
  assert.equal((await world.ask('GET', '/api/v1/balance', { key })).status, 200);
  assert.deepEqual(refusal(await post({ minutes: 1, region: 'na-east' }, { key })), [403, 'permission_denied']);
  for (const id of ['nothing', '00000000-0000-0000-0000-000000000000', '%00', 'a'.repeat(5_000)]) {
    assert.deepEqual(refusal(await world.ask('GET', `/api/v1/sessions/${id}`)), [404, 'not_found']);
    assert.deepEqual(refusal(await world.ask('DELETE', `/api/v1/sessions/${id}`)), [404, 'not_found']);
  }
  assert.deepEqual(refusal(await world.ask('GET', '/api/v1/nowhere')), [404, 'not_found']);
});

behaviour('one Idempotency-Key is one session', ['header Idempotency-Key', '409 idempotency_conflict'], async () => {
  const before = await balance();
  const wish = { minutes: 5, region: 'na-east', allowedEmbeddingOrigins: ['https://app.example.com'] };
  const headers = { 'Idempotency-Key': `once-${Date.now()}` };
  const answers = await Promise.all(Array.from({ length: 30 }, () => post(wish, { headers })));
  assert.deepEqual([...new Set(answers.map(({ body }) => body.id))].length, 1, JSON.stringify(answers.map(refusal)));
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
  assert.equal(answers.filter(({ status }) => status === 200).length, 29);
  for (const { body } of answers) assert.deepEqual(body, answers[0].body);
  assert.equal((await balance()).balance_minutes, before.balance_minutes - 5);
  const same = await post(`{"region":"na-east",  "allowedEmbeddingOrigins":["https://app.example.com"],"minutes":5}`, { headers });
  assert.equal(same.status, 200, 'the same meaning is the same request');
  assert.deepEqual(refusal(await post({ ...wish, allowedEmbeddingOrigins: ['https://other.example.com'] }, { headers })), [409, 'idempotency_conflict']);
  assert.deepEqual(refusal(await post({ ...wish, minutes: 6 }, { headers })), [409, 'idempotency_conflict']);
  await world.release(answers[0].body);
});

behaviour('minutes, places and sessions at once are limits', ['402 insufficient_minutes', '429 concurrent_limit', '503 pool_empty'], async () => {
  const before = await balance();
  const taken = await Promise.all([post({ minutes: 1, region: 'na-east' }), post({ minutes: 1, region: 'na-east' })]);
  assert.deepEqual(taken.map(({ status }) => status), [201, 201]);
  const none = await post({ minutes: 7, region: 'na-east' });
  assert.deepEqual(refusal(none), [503, 'pool_empty']);
  assert.ok(none.body.retry_after > 0);
  assert.equal(none.headers.get('retry-after'), String(none.body.retry_after));
  for (const { body } of taken) await world.release(body);
  const after = await eventually(async () => {
    const now = await balance();
    return now.reserved_minutes === 0 && now;
  }, 'nothing is held');
  assert.equal(after.balance_minutes, before.balance_minutes - 2, 'what never was ready is refunded whole');

  const { id: org } = await world.admin('POST', '/admin/v1/organizations', { name: 'Small', plan: 'free' });
  const { key } = await world.admin('POST', '/admin/v1/api-keys', { organization: org, name: 'small' });
  assert.deepEqual(refusal(await post({ minutes: 1, region: 'na-east' }, { key })), [402, 'insufficient_minutes']);
  await world.operate('minutes', 'grant', '10', '--org', org);
  assert.deepEqual(refusal(await post({ minutes: 11, region: 'na-east' }, { key })), [402, 'insufficient_minutes']);
  const exact = await post({ minutes: 10, region: 'na-east' }, { key });
  assert.equal(exact.status, 201, 'a balance of exactly the minutes');
  await world.operate('minutes', 'grant', '10', '--org', org);
  assert.deepEqual(refusal(await post({ minutes: 1, region: 'na-east' }, { key })), [429, 'concurrent_limit']);
  assert.deepEqual(refusal(await world.ask('GET', `/api/v1/sessions/${exact.body.id}`)), [404, 'not_found'], 'another organization’s is none');
  assert.equal((await world.ask('DELETE', `/api/v1/sessions/${exact.body.id}`, { key })).body.refunded_minutes, 9);
  assert.deepEqual(await world.admin('GET', '/admin/v1/invariants'), { broken: [] }, 'every balance is the sum of its rows');
});

behaviour('minutes are bought', ['GET /api/v1/pricing', 'POST /api/v1/checkout', 'checkout field product', 'checkout field email'], async () => {
  const pricing = await world.ask('GET', '/api/v1/pricing', { key: '' });
  assert.equal(pricing.status, 200);
  const { currency, packs, subscription, defaults } = pricing.body;
  assert.equal(typeof currency, 'string');
  assert.deepEqual(packs.map(({ product }) => product), ['minutes_60', 'minutes_300', 'minutes_1000']);
  for (const { minutes, price_cents } of packs) assert.ok(minutes > 0 && price_cents > 0);
  assert.ok(subscription !== undefined);
  assert.deepEqual(defaults, { minutes: 15, max_minutes: 120 });
  const bought = await world.ask('POST', '/api/v1/checkout', { key: '', body: { product: 'minutes_300', email: 'you@example.com' } });
  assert.ok([200, 201].includes(bought.status), JSON.stringify(bought.body));
  const { checkout_url, checkout_id } = bought.body;
  const page = await fetch(checkout_url);
  assert.equal(page.status, 200);
  assert.ok(!(await page.text()).includes('bbx_'), 'no key before it is paid');
  await world.operate('minutes', 'confirm', checkout_id);
  const first = await (await fetch(checkout_url)).text();
  const [key] = /bbx_[0-9a-f]{48}/.exec(first) ?? [];
  if (key) {
    assert.equal((await world.ask('GET', '/api/v1/balance', { key })).body.balance_minutes, 300);
    assert.ok(!(await (await fetch(checkout_url)).text()).includes(key), 'shown once');
  } else {
    assert.match(first, /<form[^>]+method="?post/i, 'shown when the buyer asks for it');
  }
  assert.equal((await world.ask('POST', '/api/v1/checkout', { key: '', body: { product: 'minutes_7' } })).status, 400);
  assert.equal((await world.ask('POST', '/api/v1/checkout', { key: '', body: { product: 'minutes_60', email: 'nobody' } })).status, 400);
});

behaviour('a session is driven over the DevTools protocol too', ['session field cdp'], async () => {
  const { body: session } = await post({ minutes: 5, region: 'na-east', cdp: true, allowedEmbeddingOrigins: [world.embedder.origin] });
  const browser = await chromium.connectOverCDP(session.cdp_url);
  const host = await world.open();
  const view = await world.embed(host, session);
  const page = browser.contexts()[0].pages()[0] ?? (await browser.contexts()[0].newPage());
  await page.goto(world.site('form'));
  await view.run((element) => element.waitForTabUrl(0, { url: 'form', timeoutMs: 5_000 }));
  await view.run((element) => element.type('#name', 'Two hands'));
  assert.equal(await page.inputValue('#name'), 'Two hands');
  await browser.close();
  await host.context().close();
  await world.release(session);
  const plain = await post({ minutes: 1, region: 'na-east' });
  assert.equal(plain.body.cdp_url, undefined);
  await world.release(plain.body);
});
