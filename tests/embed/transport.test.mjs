// How the element treats a page in its frame that is old, silent or slow: a whole fake of that page, which answers as the test says.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, afterEach, before } from 'node:test';
import { behaviour } from './behaviour.mjs';
import { embed, launch, openPage, serveEmbedder } from './world.mjs';

/** Counts what comes and answers by the rules that the test gives; the rules are functions, as text. */
const fakePage = (rules) => `<!doctype html><title>Fake</title><script>
  const rules = { ${Object.entries(rules).map(([type, rule]) => `${JSON.stringify(type)}: ${rule}`).join(',')} };
  const seen = [];
  addEventListener('message', ({ data, source, origin }) => {
    if (source !== parent) return;
    seen.push(data);
    const send = (message) => parent.postMessage(message, origin);
    send({ type: 'fake-seen', data: { type: data.type, requestId: data.requestId, call: data.data } });
    rules[data.type]?.(data, send, seen);
  });
</script>`;

const READY = `(data, send) => { send({ type: 'bbx-api-ready', data: { methods: ['getTabs', 'click', 'evaluate', 'createTab'], policy: null } }); send({ type: 'tab-api-ready', data: {} }); }`;
const ACK = `({ data }, send) => send({ type: 'bbx-mid-ack', data: { mid: data.mid } })`;

const FASTER = 20;

let eyes;
let embedder;
let fake;
let rules = {};
let loads = [];
let host;
before(async () => {
  eyes = await launch();
  embedder = await serveEmbedder('/webview.js');
  const server = createServer((request, response) => {
    loads.push(request.url);
    response.setHeader('Content-Type', 'text/html').end(fakePage(rules));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  fake = { url: `http://127.0.0.1:${server.address().port}/login?token=fake&mid=0123456789abcd`, close: () => server.close() };
});
after(async () => {
  fake?.close();
  embedder?.close();
  await eyes?.close();
});
afterEach(() => host?.context().close());

/** An element on the fake page, with what it was sent in `sent`. */
async function faked(wanted, { attributes = {}, ready = true, timings = {} } = {}) {
  rules = wanted;
  loads = [];
  host = await openPage(eyes, embedder.origin);
  await host.evaluate((values) => {
    globalThis.sent = [];
    addEventListener('message', ({ data }) => data?.type === 'fake-seen' && sent.push({ ...data.data, at: performance.now() }));
    return customElements.whenDefined('browserbox-webview').then(() => Object.assign(customElements.get('browserbox-webview')[Symbol.for('vitrine.timings')], values));
  }, timings);
  return embed(host, { login_url: fake.url }, attributes, { ready });
}
const sent = (type) => host.evaluate((wanted) => sent.filter((message) => message.type === wanted), type);

behaviour(
  'an old page is spoken to as old clients do',
  ['session.transport legacy', 'legacy emulation', 'event ready', 'ERR_UNSUPPORTED'],
  async () => {
    const answer = (value) => `({ requestId }, send) => send({ type: 'old-result', requestId, data: ${value} })`;
    const view = await faked({
      init: `(data, send) => send({ type: 'tab-api-ready', data: {} })`,
      getTabs: answer('globalThis.tabs ??= ["a", "b"].map((id, index) => ({ id, index, active: index === 0, url: `https://${id}.test/`, title: id }))'),
      getActiveTab: answer('tabs[0]'),
      getTabCount: answer('tabs.length'),
      createTab: `({ data }) => tabs.push({ id: 'c', index: 2, active: false, url: data.url, title: 'c' })`,
      loadURL: `({ tabId, data }) => (tabs.find(({ id }) => id === tabId).url = data.url)`,
    });
    await view.until('ready');
    assert.deepEqual((await view.run((element) => element.getTabs())).map(({ id }) => id), ['a', 'b']);
    assert.equal(await view.run((element) => element.getTabCount()), 2);
    assert.equal(await view.run((element) => element.session.transport), 'legacy');
    await view.run((element) => element.createTab('https://c.test/'));
    assert.equal((await sent('createTab')).length, 1);
    await view.run((element) => element.navigateTo('https://d.test/'));
    assert.equal((await sent('loadURL')).length, 1);
    await view.run((element) => element.reload());
    assert.equal((await sent('reload')).length, 1);
    assert.equal((await view.caught((element) => element.evaluate('1'))).code, 'ERR_UNSUPPORTED');
  },
);

behaviour('a silent page is asked each second, reloaded, and given up', ['init each second', 'iframe reloads', 'event iframe-retry', 'event disconnected'], async () => {
  const view = await faked({}, { ready: false, timings: await quick() });
  const first = await view.until('iframe-retry', undefined, 0, 60_000);
  assert.deepEqual([first.attempt, first.maxAttempts], [1, 5]);
  assert.ok(first.delayMs > 0);
  const asked = (await sent('init')).length;
  assert.ok(asked >= 20 && asked <= 40, `${asked} times before the first reload`);
  await view.until('iframe-retry', ({ attempt }) => attempt === 5, 0, 60_000);
  await view.until('disconnected', undefined, 0, 60_000);
  assert.equal(loads.filter((url) => url.includes('bbx_embed_retry')).length, 5);
});

behaviour('a page that never names its machine is asked ninety times', ['event mid-sync-timeout'], async () => {
  const view = await faked({ init: READY }, { timings: await quick() });
  const { attempts, mid } = await view.until('mid-sync-timeout');
  assert.deepEqual([attempts, mid], [90, '0123456789abcd']);
  assert.equal(await view.run((element) => element.session.ready), true);
});

behaviour('init comes each second until it is answered', ['init each second'], async () => {
  await faked({}, { ready: false });
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  const times = (await sent('init')).map(({ at }) => at);
  assert.ok(times.length >= 3 && times.length <= 6, `${times.length}`);
  for (let n = 2; n < times.length; n += 1) assert.ok(Math.abs(times[n] - times[n - 1] - 1_000) < 400, times.join());
});

behaviour('a call that fails for a moment is made three times, with one callId', ['calls retried three times', 'error status and retriable'], async () => {
  const view = await faked({
    init: READY,
    'bbx-mid-sync': ACK,
    'bbx-api-call': `({ requestId, data }, send, seen) => {
      const calls = seen.filter((message) => message.type === 'bbx-api-call' && message.data.method === data.method).length;
      if (data.method === 'createTab') return send({ type: 'bbx-api-result', requestId, error: 'the tab already exists' });
      if (data.method === 'evaluate') return send({ type: 'bbx-api-result', requestId, error: 'the page is broken', code: 'ERR_INTERNAL', status: 500, retriable: false });
      if (data.method === 'getTabCount' || calls < 3) return send({ type: 'bbx-api-result', requestId, error: 'the session is not ready' });
      send({ type: 'bbx-api-result', requestId, data: { result: true } });
    }`,
  });
  await view.run((element) => element.click('#a'));
  const calls = (await sent('bbx-api-call')).filter(({ call }) => call.method === 'click');
  assert.equal(calls.length, 3);
  assert.equal(new Set(calls.map(({ requestId }) => requestId)).size, 3);
  assert.equal(new Set(calls.map(({ call }) => call.callId)).size, 1);
  assert.ok(calls[1].at - calls[0].at >= 280 && calls[2].at - calls[1].at >= 580, 'after 300 and 600 ms');
  const never = await view.caught((element) => element.callApi('getTabCount'));
  assert.deepEqual([never.code, never.retriable], ['ERR_NOT_READY', true]);
  const broken = await view.caught((element) => element.evaluate('1'));
  assert.deepEqual([broken.code, broken.status, broken.retriable], ['ERR_INTERNAL', 500, false]);
  assert.equal((await sent('bbx-api-call')).filter(({ call }) => call.method === 'evaluate').length, 1, 'what is final is not repeated');
});

behaviour(
  'errors of a page that gives no code are told by their words',
  ['ERR_NOT_FOUND', 'ERR_CONFLICT', 'ERR_INVALID_ARGUMENT', 'ERR_UNSUPPORTED', 'ERR_TRANSPORT', 'ERR_TIMEOUT', 'ERR_NOT_READY', 'ERR_INTERNAL'],
  async () => {
    const words = {
      'the tab already exists': 'ERR_CONFLICT',
      'unknown api method evaluate': 'ERR_UNSUPPORTED',
      'this page does not support it': 'ERR_UNSUPPORTED',
      'evaluate requires a non-empty expression': 'ERR_INVALID_ARGUMENT',
      'act requires an object': 'ERR_INVALID_ARGUMENT',
      'tab 4 does not exist': 'ERR_NOT_FOUND',
      'there is no active tab': 'ERR_NOT_FOUND',
      'something else': 'ERR_INTERNAL',
      'the call timed out': 'ERR_TIMEOUT',
      'the iframe went away': 'ERR_TRANSPORT',
      'a selection is already active': 'ERR_NOT_READY',
    };
    const view = await faked({
      init: READY,
      'bbx-mid-sync': ACK,
      'bbx-api-call': `({ requestId, data }, send) => send({ type: 'bbx-api-result', requestId, error: data.args[0] })`,
    });
    for (const [text, code] of Object.entries(words)) {
      assert.equal((await view.caught((element, said) => element.callApi('evaluate', said), text)).code, code, text);
    }
  },
);

behaviour('a call without an answer times out', ['ERR_TIMEOUT', 'attribute request-timeout-ms'], async () => {
  const view = await faked({ init: READY, 'bbx-mid-sync': ACK }, { attributes: { 'request-timeout-ms': '150' } });
  const begun = Date.now();
  const late = await view.caught((element) => element.click('#a'));
  assert.deepEqual([late.code, late.retriable], ['ERR_TIMEOUT', true]);
  assert.ok(Date.now() - begun > 3 * 150 + 900, 'three times, with its pauses');
  await view.run((element) => element.setAttribute('request-timeout-ms', '1'));
  const floor = await host.evaluate(() => performance.now());
  await view.caught((element) => element.click('#b'));
  assert.ok((await host.evaluate(() => performance.now())) - floor >= 3 * 100 + 900, 'the floor is 100 ms');
});

behaviour('login links of other kinds are refused', ['attribute login-link', 'ERR_INVALID_ARGUMENT'], async () => {
  host = await openPage(eyes, embedder.origin);
  for (const link of ['javascript:globalThis.bad = 1', 'data:text/html,<script>parent.bad = 1</script>', 'not a link']) {
    const view = await embed(host, { login_url: link }, {}, { id: `a${link.length}`, ready: false });
    assert.ok((await view.caught((element) => element.whenReady({ timeoutMs: 300 }))).code, link);
  }
  assert.equal(await host.evaluate(() => globalThis.bad), undefined);
});

/** The element's timings, so many times as fast. */
async function quick() {
  const probe = await openPage(eyes, embedder.origin);
  const names = await probe.evaluate(async () => {
    await customElements.whenDefined('browserbox-webview');
    return customElements.get('browserbox-webview')[Symbol.for('vitrine.timings')];
  });
  await probe.context().close();
  return Object.fromEntries(Object.entries(names).map(([name, value]) => [name, name.endsWith('Ms') ? value / FASTER : value]));
}
