// The element from its first message to its last: readiness, attributes and properties, health, refreshing, disconnecting.

import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

let world;
let session;
let host;
before(async () => {
  world = await startWorld();
  session = await world.claim();
});
after(() => world?.stop());
afterEach(() => host?.context().close());

const ready = async (attributes, options) => {
  host = await world.open();
  return world.embed(host, session, attributes, options);
};

behaviour(
  'an element becomes ready and says so',
  ['attribute login-link', 'whenReady', 'event api-ready', 'event ready', 'event mid-synced', 'event usability-changed', 'alias api.ready', 'alias session.usability.changed'],
  async () => {
    const view = await ready();
    const { methods, policy } = await view.until('api-ready');
    assert.ok(methods.includes('navigateTo') && methods.includes('getTabs'));
    assert.equal(policy.schemaVersion, 1);
    assert.deepEqual(await view.until('api.ready'), { methods, policy });
    assert.equal(typeof (await view.until('ready')).type, 'string');
    const { mid, attempts } = await view.until('mid-synced');
    assert.equal(mid, session.machine_id);
    assert.ok(attempts >= 1);
    const { usable } = await view.until('usability-changed', (detail) => detail.usable);
    assert.equal(usable, true);
    await view.until('session.usability.changed', (detail) => detail.usable);
    const names = (await view.log()).map(({ name }) => name);
    assert.equal(names.filter((name) => name === 'api-ready').length, names.filter((name) => name === 'api.ready').length);
  },
);

behaviour(
  'session tells what it is',
  ['session.id', 'session.usable', 'session.ready', 'session.transport', 'session.transport modern', 'session.capabilities', 'capability gating'],
  async () => {
    const view = await ready();
    const told = await view.run(async ({ session }) => ({
      id: session.id,
      usable: session.usable,
      ready: session.ready,
      transport: session.transport,
      capabilities: await session.capabilities(),
    }));
    assert.deepEqual([told.id, told.usable, told.ready, told.transport], [session.machine_id, true, true, 'modern']);
    const can = (name) => told.capabilities[name] ?? name.split('.').reduce((tree, part) => tree?.[part], told.capabilities);
    assert.equal(can('tabs.write'), true);
    for (const closed of ['augment.write', 'capture.frame', 'select.use']) assert.equal(can(closed), false, closed);
    const denied = await view.caught((element) => element.capture.frame());
    assert.equal(denied.code, 'ERR_POLICY_DENIED');
  },
);

behaviour('health says how the session is', ['health', 'session.health'], async () => {
  const view = await ready();
  const [flat, named] = await view.run(async (element) => [await element.health({ timeoutMs: 5_000 }), await element.session.health()]);
  for (const health of [flat, named]) {
    assert.deepEqual([health.ok, health.usable, health.ready, health.transport], [true, true, true, 'modern']);
    assert.equal(health.sessionId, session.machine_id);
    assert.ok(Math.abs(health.timestamp - Date.now()) < 60_000);
    assert.ok(health.latencyMs >= 0 && health.latencyMs < 5_000);
    assert.equal(typeof health.diagnostics, 'object');
  }
});

behaviour('any method is called by its name', ['callApi', 'listApiMethods'], async () => {
  const view = await ready();
  const methods = await view.run((element) => element.listApiMethods());
  assert.ok(methods.includes('evaluate'));
  assert.equal(await view.run((element) => element.callApi('getTabCount')), 1);
  assert.equal((await view.run((element) => element.callApi('navigateTo', 'about:blank'))).ok, true);
});

behaviour(
  'sizes follow attributes and properties',
  ['attribute width', 'attribute height', 'property width', 'property height', 'updateIframe'],
  async () => {
    const view = await ready({ width: '640', height: '50vh' });
    const box = () => view.run((element) => [element.getBoundingClientRect().width, element.getBoundingClientRect().height]);
    assert.deepEqual(await box(), [640, 400]);
    assert.deepEqual(await view.run((element) => [element.width, element.height]), ['640', '50vh']);
    await view.run((element) => {
      element.width = '100%';
      element.height = 500;
    });
    assert.deepEqual(await box(), [1280, 500]);
    assert.equal(await view.run((element) => element.getAttribute('height')), '500');
    await view.run((element) => element.updateIframe());
    assert.deepEqual(await box(), [1280, 500]);
  },
);

behaviour(
  'properties reflect what attributes say',
  ['property loginLink', 'property routingMid', 'property parentOrigin', 'property requestTimeoutMs', 'attribute request-timeout-ms'],
  async () => {
    const view = await ready();
    const told = await view.run((element) => [element.loginLink, element.routingMid, element.parentOrigin, element.requestTimeoutMs]);
    assert.deepEqual(told, [session.login_url, session.machine_id, '*', 30_000]);
    const changed = await view.run((element) => {
      element.requestTimeoutMs = 1_234;
      const set = [element.requestTimeoutMs, element.getAttribute('request-timeout-ms')];
      element.setAttribute('request-timeout-ms', '5');
      return [...set, element.requestTimeoutMs];
    });
    assert.deepEqual(changed.slice(0, 2), [1_234, '1234']);
    assert.ok(changed[2] === 5 || changed[2] === 100, 'the floor is 100 ms');
    assert.equal(await view.run((element) => (Reflect.set(element, 'routingMid', 'x'), element.routingMid)), session.machine_id);
  },
);

behaviour('an embedder names its own origin', ['attribute parent-origin', 'ERR_NOT_READY', 'event ready-timeout'], async () => {
  const view = await ready({ 'parent-origin': world.embedder.origin });
  assert.equal(await view.run((element) => element.session.ready), true);
  const wrong = await world.embed(host, session, { 'parent-origin': 'https://elsewhere.example' }, { id: 'wrong', ready: false });
  const refused = await wrong.caught((element) => element.whenReady({ timeoutMs: 1_500 }));
  assert.ok(refused.code, JSON.stringify(refused));
  assert.equal(await wrong.run((element) => element.session.ready), false);
  const unset = await world.embed(host, { login_url: '' }, { 'request-timeout-ms': '500' }, { id: 'unset', ready: false });
  const early = await unset.caught((element) => element.whenReady({ timeoutMs: 300 }));
  assert.ok(['ERR_NOT_READY', 'ERR_TIMEOUT'].includes(early.code), JSON.stringify(early));
  const { timeoutMs, error } = await unset.until('ready-timeout');
  assert.equal(timeoutMs, 300);
  assert.ok(error);
  assert.equal((await unset.caught((element) => element.getTabs())).code, 'ERR_NOT_READY');
});

behaviour(
  'the chrome is shown, hidden and left to the person',
  ['attribute ui-visible', 'attribute allow-user-toggle-ui', 'attribute chrome', 'uiVisible', 'allowUserToggleUI'],
  async () => {
    const view = await ready();
    const frame = await view.frame(session);
    const bar = frame.getByRole('tablist');
    await bar.waitFor();
    assert.equal(await view.run((element) => element.uiVisible()), true);
    assert.equal(await view.run((element) => element.uiVisible(false)), false);
    await bar.waitFor({ state: 'hidden' });
    assert.equal(await view.run((element) => element.uiVisible(true)), true);
    await bar.waitFor();
    assert.equal(await view.run((element) => element.allowUserToggleUI(false)), false);
    assert.equal(await view.run((element) => element.allowUserToggleUI()), false);
    await view.run((element) => element.setAttribute('ui-visible', 'false'));
    await bar.waitFor({ state: 'hidden' });
    await view.run((element) => element.setAttribute('ui-visible', 'true'));
    await bar.waitFor();
    await view.run((element) => element.setAttribute('chrome', 'none'));
    await bar.waitFor({ state: 'hidden' });
    await view.run((element) => element.setAttribute('chrome', 'default'));
    await bar.waitFor();
    await view.run((element) => element.setAttribute('allow-user-toggle-ui', 'true'));
    await eventually(() => view.run((element) => element.allowUserToggleUI()), 'the person may toggle again');
  },
);

behaviour('permissions of media are the embedder’s', ['attribute media-permissions'], async () => {
  const view = await ready({ 'media-permissions': 'deny' });
  await view.run((element, url) => element.navigateTo(url), world.site('form'));
  const states = await view.run((element) =>
    element.evaluate(`Promise.all(['camera', 'microphone'].map(async (name) => (await navigator.permissions.query({ name })).state))`),
  );
  assert.ok(!states.includes('granted'), states.join());
});

behaviour('a refreshed element is ready again', ['refresh', 'session.refresh'], async () => {
  const view = await ready();
  for (const again of [(element) => element.refresh(), (element) => element.session.refresh()]) {
    const since = await view.mark();
    await view.run(again);
    await view.until('api-ready', () => true, since);
    assert.equal(await view.run((element) => element.getTabCount()), 1);
  }
});

behaviour(
  'disconnecting ends the conversation',
  ['session.disconnect', 'stopReconnectAttempts', 'event disconnected', 'alias session.disconnected', 'ERR_TRANSPORT'],
  async () => {
    const view = await ready();
    const pending = view.caught((element) => element.waitForSelector('#never', { timeoutMs: 20_000 }));
    await eventually(() => view.run((element) => element.session.ready), 'ready');
    await view.run((element) => element.stopReconnectAttempts('enough'));
    assert.equal((await pending).code, 'ERR_TRANSPORT');
    const other = await world.embed(host, session, {}, { id: 'other' });
    await other.run((element) => element.session.disconnect());
    await other.until('disconnected');
    await other.until('session.disconnected');
    assert.equal(await other.run((element) => element.session.ready), false);
  },
);
