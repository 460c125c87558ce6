// A client of somebody else's: written from the protocol's description alone, it uses nothing of our element.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before } from 'node:test';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

/** An embedder's page with an iframe and a client of a screenful. */
const CLIENT = `<!doctype html><meta charset="utf-8"><title>Foreign</title><iframe id="box" style="width:1000px;height:700px"></iframe><script>
  const events = [];
  const waiting = new Map();
  let count = 0;
  let origin;
  let timer;
  addEventListener('message', ({ data, origin: from, source }) => {
    if (source !== box.contentWindow || from !== origin) return;
    const { type, requestId, data: detail, error } = data;
    if (requestId && waiting.has(requestId)) {
      const { resolve, reject } = waiting.get(requestId);
      waiting.delete(requestId);
      return error ? reject(new Error(error)) : resolve(detail);
    }
    events.push({ type, detail });
    if (type === 'bbx-api-ready') clearInterval(timer);
  });
  const post = (message) => box.contentWindow.postMessage(message, origin);
  function open(link) {
    origin = new URL(link).origin;
    box.src = link;
    timer = setInterval(() => post({ type: 'init' }), 1000);
  }
  const ask = (type, rest = {}) => new Promise((resolve, reject) => {
    const requestId = 'request-' + (count += 1);
    waiting.set(requestId, { resolve, reject });
    setTimeout(() => waiting.delete(requestId) && reject(new Error('timed out')), 15000);
    post({ type, requestId, ...rest });
  });
  const call = (method, ...args) => ask('bbx-api-call', { data: { method, args } });
</script>`;

let world;
let site;
let host;
let session;
before(async () => {
  world = await startWorld();
  const server = createServer((request, response) => response.setHeader('Content-Type', 'text/html').end(CLIENT));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  site = { origin: `http://localhost:${server.address().port}`, close: () => server.close() };
  session = await world.claim({ allowedEmbeddingOrigins: [site.origin] });
  host = await world.open(site.origin);
  await host.evaluate((link) => open(link), session.login_url);
});
after(async () => {
  site?.close();
  await world?.stop();
});

const heard = (type) => host.evaluate((wanted) => events.filter((event) => event.type === wanted).map(({ detail }) => detail), type);

behaviour('it is greeted as the protocol says', ['session.transport modern', 'bbx-policy-sync'], async () => {
  await host.waitForFunction(() => events.some(({ type }) => type === 'bbx-api-ready'));
  const [{ methods, policy }] = await heard('bbx-api-ready');
  assert.ok(Array.isArray(methods) && methods.includes('click'));
  assert.equal(policy.schemaVersion, 1);
  await host.evaluate(() => {
    events.length = 0;
    post({ type: 'init' });
    post({ type: 'bbx-mid-sync', data: { mid: 'a', reason: 'test', attempt: 1 } });
    post({ type: 'bbx-ui-sync', data: { uiVisible: true, allowUserToggleUI: true, chromeMode: 'default', reason: 'test' } });
    post({ type: 'bbx-viewport-reset', data: { reason: 'test' } });
  });
  await eventually(() => host.evaluate(() => ['bbx-api-ready', 'tab-api-ready', 'bbx-mid-ack', 'bbx-ui-ack'].every((wanted) => events.some(({ type }) => type === wanted))), 'answers');
  assert.deepEqual(await host.evaluate(() => ask('bbx-api-list').then((list) => list.includes('navigateTo'))), true);
});

behaviour('it calls, waits and reads', ['callApi', 'getTabs', 'navigateTo', 'evaluate', 'click', 'type', 'waitForSelector'], async () => {
  const went = await host.evaluate((url) => call('navigateTo', url), world.site('form'));
  assert.deepEqual([went.ok, went.url, typeof went.tabId], [true, world.site('form'), 'string']);
  assert.equal(await host.evaluate(() => call('waitForSelector', '#name')), true);
  assert.deepEqual(await host.evaluate(() => call('type', '#name', 'Ada')), { result: true });
  assert.deepEqual(await host.evaluate(() => call('click', '#send')), { result: true });
  assert.deepEqual(await host.evaluate(() => call('evaluate', 'result.textContent')), { result: { type: 'string', value: 'Sent Ada' } });
  assert.match(await host.evaluate(() => call('captureFrame', { format: 'jpeg' })), /^data:image\/jpeg;base64,/);
  const unknown = await host.evaluate(() => call('dance').catch(({ message }) => message));
  assert.match(unknown, /unknown api method/i);
  const empty = await host.evaluate(() => call('click', '').catch(({ message }) => message));
  assert.match(empty, /requires a non-empty/i);
  const order = (await host.evaluate(() => events.map(({ type }) => type))).filter((type) => type.startsWith('did-'));
  assert.ok(order.indexOf('did-start-loading') < order.indexOf('did-navigate') && order.indexOf('did-navigate') < order.indexOf('did-stop-loading'));
});

behaviour('it speaks the old commands', ['legacy emulation'], async () => {
  const timed = await host.evaluate(async () => {
    const begun = performance.now();
    const answers = [await ask('getTabs'), await ask('getActiveTab'), await ask('getTabCount')];
    return { answers, ms: performance.now() - begun };
  });
  const [tabs, active, count] = timed.answers;
  assert.deepEqual([tabs.length, active.id, count], [1, tabs[0].id, 1]);
  assert.ok(timed.ms < 300, `${timed.ms} ms for three`);
  await host.evaluate((url) => post({ type: 'createTab', data: { url } }), world.site('one'));
  await eventually(() => host.evaluate(() => ask('getTabCount').then((n) => n === 2)), 'a second tab');
  const second = await eventually(() => host.evaluate((url) => ask('getTabs').then((all) => all[1]?.url === url && all[1].id), world.site('one')), 'its address');
  await host.evaluate(([tabId, url]) => post({ type: 'loadURL', tabId, data: { url } }), [second, world.site('two')]);
  await eventually(() => host.evaluate((url) => ask('getTabs').then((all) => all[1].url === url), world.site('two')), 'another address');
  await host.evaluate((tabId) => post({ type: 'goBack', tabId }), second);
  await eventually(() => host.evaluate((url) => ask('getTabs').then((all) => all[1].url === url), world.site('one')), 'back');
  await host.evaluate((tabId) => post({ type: 'setActiveTab', tabId }), tabs[0].id);
  await eventually(() => host.evaluate((id) => ask('getActiveTab').then((tab) => tab.id === id), tabs[0].id), 'the first in front');
  await host.evaluate((tabId) => post({ type: 'closeTab', tabId }), second);
  await eventually(() => host.evaluate(() => ask('getTabCount').then((n) => n === 1)), 'one tab');
});

behaviour('it is told when the session is over', ['event sos'], async () => {
  await world.release(session);
  await host.waitForFunction(() => events.some(({ type }) => type === 'bbx-sos'));
  const [{ reasonCode, message }] = await heard('bbx-sos');
  assert.ok(reasonCode && message);
});
