// The page in a frame: its way in, whom it talks with, and what it does when asked.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, call, count, embed, heard, inside, open, tell } from './embedder.mjs';
import { context, page, server } from './page.mjs';
import { tab } from './server.mjs';

test('the entry is traded and leaves the address; who asks is told once the page is ready', async () => {
  await embed();
  await heard('bbx-mid-request');
  await heard('bbx-ui-request');
  await server.take('start');
  assert.equal(inside().url(), `${server.origin}${server.prefix}/s/abcdefghijklmnopqrstuvwxyz012345/`);
  assert.deepEqual(server.embedding.trades, ['entry']);
  await tell({ type: 'init' });
  const { data, origin } = await heard('bbx-api-ready');
  assert.equal(origin, server.origin);
  assert.deepEqual(data.policy, server.embedding.policy.policy, 'as it came, nulls and all');
  for (const method of ['getTabs', 'click', 'uiVisible', 'allowUserToggleUI', 'getFrame', 'health', 'beginSelect'])
    assert.ok(data.methods.includes(method), method);
  await heard('tab-api-ready');
  await tell({ type: 'init' });
  await heard('bbx-api-ready');
  await tell({ type: 'bbx-mid-sync', data: { mid: 'm1', reason: 'start', attempt: 1 } });
  assert.deepEqual((await heard('bbx-mid-ack')).data, { mid: 'm1' });
  await tell({ type: 'bbx-ui-sync', data: { uiVisible: true } });
  await heard('bbx-ui-ack');
});

test('an early `init` is answered when there is something to say', async () => {
  server.refusal = 502;
  await embed();
  await tell({ type: 'init' });
  await page.waitForTimeout(300);
  assert.equal(await count('bbx-api-ready'), 0);
  server.refusal = null;
  await heard('bbx-api-ready');
});

test('a reload comes back by the cookie, and without one says how it is', async () => {
  await open();
  await inside().evaluate(() => location.reload());
  await server.take('start');
  assert.deepEqual(server.embedding.trades, ['entry', 'cookie']);
  await context.clearCookies();
  server.embedding.cookie = 'vitrine_page=another';
  await inside().evaluate(() => location.reload());
  assert.equal((await heard('bbx-sos')).data.reasonCode, 'access_denied');
  await inside().getByText('Access to this session has run out').waitFor();
});

test('without any cookie or storage it works as well', async () => {
  server.embedding.setsCookie = false;
  await open();
  assert.deepEqual(await context.cookies(), []);
});

test('the token is renewed in time and used for new connections and files', async () => {
  await embed({ prepare: (page) => page.clock.install() });
  await server.take('start');
  await page.clock.fastForward(190_000);
  await until(() => server.embedding.trades.length === 2);
  assert.deepEqual(server.embedding.trades, ['entry', 'bearer']);
  const [, renewed] = server.embedding.tokens;
  server.embedding.tokens = new Set([renewed]);
  server.close(1012, 'service_restart');
  await server.take('start');
});

test('a session that is over says so to the parent, each time it asks', async () => {
  await open();
  server.close(4001, 'max_duration');
  const { data } = await heard('bbx-sos');
  assert.equal(data.reasonCode, 'max_duration');
  assert.match(data.message, /longest duration/);
  await inside().getByText('longest duration').waitFor();
  await tell({ type: 'init' });
  await heard('bbx-sos');
  const answer = await call('click', ['#a']);
  assert.equal(answer.code, 'ERR_TRANSPORT');
  server.embedding.endReason = 'deleted';
  await inside().evaluate(() => location.reload());
  assert.equal((await heard('bbx-sos')).data.reasonCode, 'deleted');
});

test('a view that the person opens again is alive again', async () => {
  await open();
  server.close(4999, '');
  await heard('bbx-sos');
  await inside().getByRole('button', { name: 'Connect again' }).click();
  await server.take('start');
  await heard('usability-changed');
  await tell({ type: 'init' });
  await heard('bbx-api-ready');
  server.embedding.answers.set('getPageTitle', 'Back');
  assert.equal((await call('getPageTitle')).data, 'Back');
});

test('strangers are not heard: other origins, other windows', async () => {
  server.embedding.origins = ['https://app.example.com', 'http://*.localhost:*'];
  await embed();
  await server.take('start');
  await tell({ type: 'init' });
  await tell({ type: 'bbx-api-call', requestId: 'x', data: { method: 'click', args: ['#a'] } });
  await page.waitForTimeout(300);
  assert.equal(await count('bbx-api-ready'), 0);
  assert.deepEqual(server.embedding.calls, []);
});

test('a page that asks does not take the keyboard from the embedder’s', async () => {
  await open();
  await page.evaluate(() => document.body.prepend(document.createElement('input')));
  await page.locator('input').focus();
  server.send({ type: 'dialog', id: 'd1', tab: 'T1', kind: 'prompt', message: 'Which?', url: 'https://a.example/' });
  await inside().getByText('Which?').waitFor();
  const option = { label: 'One', selected: true, disabled: false };
  server.send({
    type: 'select',
    id: 's1',
    tab: 'T1',
    x: 1,
    y: 1,
    width: 9,
    height: 9,
    multiple: false,
    options: [option],
  });
  await inside().locator('.option').waitFor();
  await page.keyboard.type('secret');
  assert.equal(await page.locator('input').inputValue(), 'secret');
  assert.equal(await inside().locator('.card input').inputValue(), '');
});

test('another frame of the same embedder is not heard', async () => {
  await open();
  await page.evaluate(() => {
    const other = document.createElement('iframe');
    other.srcdoc = `<script>parent.frames[0].postMessage({ type: 'bbx-api-call', requestId: 'x', data: { method: 'click' } }, '*')<\/script>`;
    document.body.append(other);
  });
  await page.waitForTimeout(300);
  assert.deepEqual(server.embedding.calls, []);
});

test('calls go to the machine and come back, each once', async () => {
  await open();
  server.embedding.answers.set('click', { result: true });
  server.embedding.answers.set('getPageTitle', 'A title');
  server.embedding.answers.set('evaluate', () => ({ result: { type: 'object', value: [1, null, { a: null }] } }));
  server.embedding.answers.set('navigateTo', () => {
    throw { message: 'the policy does not allow that', code: 'ERR_POLICY_DENIED', status: 403, retriable: false };
  });
  const clicked = await call('click', ['#a', { timeoutMs: 5 }], { callId: 'once' });
  assert.deepEqual(clicked.data, { result: true });
  assert.equal(clicked.type, 'bbx-api-result');
  const [{ callId, args }] = server.embedding.calls;
  assert.deepEqual([callId, args], ['once', ['#a', { timeoutMs: 5 }]]);
  await call('click', ['#a', undefined], { callId: 'once' });
  assert.deepEqual(server.embedding.calls[1].args, ['#a']);
  assert.deepEqual(
    server.embedding.calls.map((made) => made.callId),
    ['once', 'once'],
  );
  const evaluated = await call('evaluate', ['1']);
  assert.deepEqual(evaluated.data, { result: { type: 'object', value: [1, null, { a: null }] } });
  assert.ok(server.embedding.calls.at(-1).callId.length > 8, 'a name of our own');
  await call('getPageTitle', [], { callId: 'read' });
  assert.equal(server.embedding.calls.at(-1).callId, undefined, 'what only reads needs none');
  const denied = await call('navigateTo', ['https://example.com']);
  assert.deepEqual(
    [denied.error, denied.code, denied.status, denied.retriable],
    ['the policy does not allow that', 'ERR_POLICY_DENIED', 403, false],
  );
  assert.deepEqual((await ask('bbx-api-list')).data.slice(0, 2), ['getTabs', 'getActiveTab']);
});

test('calls that make no sense are refused in words that clients know', async () => {
  await open();
  const refused = async (data) => {
    const { error, code } = await ask('bbx-api-call', { data });
    return [error, code];
  };
  assert.deepEqual(await refused(undefined), ['bbx-api-call requires payload', 'ERR_INVALID_ARGUMENT']);
  assert.deepEqual(await refused({}), ['bbx-api-call requires data.method', 'ERR_INVALID_ARGUMENT']);
  assert.deepEqual(await refused({ method: '' }), ['bbx-api-call requires data.method', 'ERR_INVALID_ARGUMENT']);
  assert.match((await refused({ method: 'click', args: 'no' }))[0], /requires an object/);
  for (const method of ['nothing', 'page.inspectAt', '__proto__', 'toString', 'x'.repeat(1000)]) {
    const [error, code] = await refused({ method });
    assert.equal(code, 'ERR_UNSUPPORTED');
    assert.ok(error.startsWith('unknown api method') && error.length < 100, error);
  }
  assert.equal((await refused({ method: 'click', args: ['x'.repeat(1024 * 1024)] }))[1], 'ERR_INVALID_ARGUMENT');
  assert.equal((await refused({ method: 'click', args: ['ü'.repeat(600 * 1024)] }))[1], 'ERR_INVALID_ARGUMENT');
  const loop = await page.evaluate(() => {
    const args = [];
    args.push(args);
    return globalThis.call('click', args);
  });
  assert.equal(loop.code, 'ERR_INVALID_ARGUMENT');
  const big = await page.evaluate(() => globalThis.call('click', [10n]));
  assert.equal(big.code, 'ERR_INVALID_ARGUMENT');
  assert.deepEqual(server.embedding.calls, []);
});

test('at most 64 calls are under way', async () => {
  await open();
  const answers = page.evaluate(() =>
    Promise.race(Array.from({ length: 65 }, () => globalThis.call('click', ['#never']))),
  );
  const { error, code, retriable } = await answers;
  assert.match(error, /not ready/);
  assert.deepEqual([code, retriable], ['ERR_NOT_READY', true]);
  assert.equal(server.embedding.calls.length, 64);
});

test('ten thousand messages in a second leave the page alive', async () => {
  await open();
  await page.evaluate(() => {
    for (let n = 0; n < 2500; n += 1) {
      globalThis.tell({ type: 'init' });
      globalThis.tell({ type: 'bbx-viewport-reset', data: {} });
      globalThis.tell({ type: 'bbx-api-call', requestId: `f${n}`, data: { method: 'click', args: ['#never'] } });
      globalThis.tell({ type: 'bbx-ui-sync', data: { uiVisible: n % 2 === 0 } });
    }
  });
  await inside().evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  await page.waitForTimeout(1_100);
  const answered = await page.evaluate(() => globalThis.heard.length);
  assert.ok(answered < 10_000, `${answered} were answered`);
  assert.equal(typeof (await call('uiVisible')).data, 'boolean');
  assert.ok(server.messages.filter(({ type }) => type === 'refresh').length <= 30);
});

test('the older messages are answered at once, also when the machine is silent', async () => {
  server.greeting.tabs = [tab({ favicon: 'data:image/png;base64,AA==' }), tab({ id: 'T2', title: 'Second' })];
  await open();
  const before = Date.now();
  const tabs = (await ask('getTabs')).data;
  assert.ok(Date.now() - before < 400);
  assert.deepEqual(tabs[0], {
    id: 'T1',
    index: 0,
    active: true,
    url: 'https://example.com/first',
    title: 'First page',
    canGoBack: true,
    canGoForward: false,
    loading: false,
    hasFavicon: true,
    isDefaultFavicon: false,
    faviconDataURI: 'data:image/png;base64,AA==',
  });
  assert.deepEqual([tabs[1].active, tabs[1].faviconDataURI], [false, null]);
  assert.equal((await ask('getTabCount')).data, 2);
  assert.equal((await ask('getActiveTab')).data.id, 'T1');
  server.embedding.answers.set('getTabCount', 3);
  assert.equal((await ask('getTabCount')).data, 3);
  server.embedding.calls = [];
  for (const message of [
    { type: 'createTab', data: { url: 'https://a.example' } },
    { type: 'createTab' },
    { type: 'closeTab', tabId: 'T2' },
    { type: 'setActiveTab', tabId: 'T2' },
    { type: 'loadURL', tabId: 'T1', data: { url: 'https://b.example' } },
    { type: 'reload' },
  ])
    await tell(message);
  await server.take('call', ({ method }) => method === 'reload');
  assert.deepEqual(
    server.embedding.calls.map(({ method, args }) => [method, args]),
    [
      ['createTab', ['https://a.example']],
      ['createTab', []],
      ['closeTabById', ['T2']],
      ['switchToTabById', ['T2']],
      ['navigateTo', ['https://b.example', { tabId: 'T1' }]],
      ['reload', []],
    ],
  );
});

test('a cut connection comes back; what was under way is done once, and init is answered meanwhile', async () => {
  await open();
  const { tokens, calls } = server.embedding;
  const answer = call('createTab', ['https://a.example'], { callId: 'mine' });
  await until(() => calls.length === 1);
  server.refusal = 502;
  server.hangUp();
  assert.deepEqual((await heard('usability-changed')).data, { usable: false, reason: 'reconnecting' });
  await tell({ type: 'init' });
  await heard('bbx-api-ready');
  const title = call('getPageTitle');
  server.embedding.answers.set('getPageTitle', 'Still here');
  server.refusal = null;
  assert.equal((await title).data, 'Still here');
  assert.deepEqual((await heard('usability-changed')).data, { usable: true, reason: 'connected' });
  assert.deepEqual(
    calls.filter(({ method }) => method === 'createTab').map(({ callId }) => callId),
    ['mine', 'mine'],
  );
  server.send({ type: 'result', id: calls[0].id, value: { id: 'T9' } });
  assert.deepEqual((await answer).data, { id: 'T9' });
  assert.equal(tokens.size, 1, 'the token was still good');
});

test('events and policies are passed on as they are', async () => {
  await open();
  const detail = { id: 'T1', url: 'https://example.com/', title: 'x', faviconDataURI: null };
  server.send({ type: 'event', name: 'tab-updated', detail });
  assert.deepEqual((await heard('tab-updated')).data, detail);
  const policy = {
    ...server.embedding.policy.policy,
    policyVersion: 2,
    apiCapabilities: { select: { use: false }, capture: { frame: false } },
  };
  server.send({ ...server.embedding.policy, policy });
  assert.deepEqual((await heard('bbx-policy-sync')).data, { policy });
  for (const method of ['beginSelect', 'getFrame']) {
    const { code, status } = await call(method);
    assert.deepEqual([code, status], ['ERR_POLICY_DENIED', 403]);
  }
  server.send({ ...server.embedding.policy, policy });
  await call('uiVisible');
  assert.equal(await count('bbx-policy-sync'), 0, 'the same policy is no news');
  await page.evaluate(() => (globalThis.heard = []));
  server.send({ type: 'tabs', active: 'T2', tabs: [tab(), tab({ id: 'T2' })] });
  server.send({ type: 'watching', tab: 'T2' });
  assert.deepEqual((await heard('tab-attached')).data, { id: 'T2', index: 1 });
});

/** Waits for something of the server's. */
export async function until(holds) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`never: ${holds}`);
}
