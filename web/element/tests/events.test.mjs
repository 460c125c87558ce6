// Events under both names, observers and iterators; what the policy opens and closes.

import assert from 'node:assert/strict';
import { suite } from './browser.mjs';

suite('events', (test) => {
  test('each runtime event arrives once under each of its names', async ({ run }) => {
    const aliases = {
      'tab-created': 'tab.created',
      'tab-closed': 'tab.closed',
      'tab-updated': 'tab.updated',
      'active-tab-changed': 'tab.activated',
      'did-navigate': 'page.navigated',
      'did-start-loading': 'page.load.started',
      'did-stop-loading': 'page.load.stopped',
      'policy-denied': 'policy.denied',
    };
    const seen = await run(async ({ ready, link, say, until }, names) => {
      const element = await ready({ 'login-link': link });
      await until(() => element.seen.some(([type]) => type === 'ready'));
      element.seen.length = 0;
      for (const name of [...names, 'favicon-changed']) say(element, name, { tabId: 'T1', name });
      await until(() => element.seen.some(([type]) => type === 'favicon-changed'));
      return element.seen.filter(([type]) => type !== 'mid-synced');
    }, Object.keys(aliases));
    const expected = Object.entries(aliases).flatMap(([name, alias]) =>
      [name, alias].map((one) => [one, { tabId: 'T1', name }]),
    );
    assert.deepEqual(seen, [...expected, ['favicon-changed', { tabId: 'T1', name: 'favicon-changed' }]]);
  });

  test('handlers, observers and iterators', async ({ run }) => {
    const result = await run(async ({ ready, link, say, until, sleep }) => {
      const element = await ready({ 'login-link': link });
      const handled = [];
      const stop = element.on('did-navigate', ({ detail }) => handled.push(detail.url));
      const handler = () => handled.push('off');
      element.on('did-navigate', handler);
      element.off('did-navigate', handler);
      const observer = element.observe({ types: ['did-navigate', 'tab.closed'], tabId: 'T2' });
      const records = [];
      const closed = [];
      observer.on((record) => records.push(record));
      observer.on('tab-closed', ({ type }) => closed.push(type));
      const controller = new AbortController();
      const read = (async () => {
        const types = [];
        for await (const { type, tabId } of element.events({ types: ['page.navigated'], signal: controller.signal }))
          types.push([type, tabId]);
        return types;
      })();
      say(element, 'did-navigate', { tabId: 'T1', url: 'one' });
      say(element, 'did-navigate', { tabId: 'T2', url: 'two' });
      say(element, 'tab-closed', { id: 'T2', index: 1 });
      await until(() => closed.length === 1);
      stop();
      observer.unsubscribe();
      say(element, 'did-navigate', { tabId: 'T2', url: 'three' });
      await sleep(100);
      controller.abort();
      return { handled, records, closed, read: await read, id: observer.id, config: observer.config.tabId };
    });
    assert.deepEqual(result.handled, ['one', 'two']);
    assert.deepEqual(result.closed, ['tab.closed']);
    assert.deepEqual(
      result.records.map(({ type, tabId, sessionId, detail }) => [type, tabId, sessionId, detail]),
      [
        ['page.navigated', 'T2', '68365e2c721798', { tabId: 'T2', url: 'two' }],
        ['tab.closed', 'T2', '68365e2c721798', { id: 'T2', index: 1 }],
      ],
    );
    for (const { id, timestamp } of result.records) assert.ok(id && timestamp);
    assert.deepEqual(result.read, [
      ['page.navigated', 'T1'],
      ['page.navigated', 'T2'],
      ['page.navigated', 'T2'],
    ]);
    assert.equal(result.config, 'T2');
  });

  test('ten thousand events hang nothing', async ({ run }) => {
    const count = await run(async ({ ready, link, say, until }) => {
      const element = await ready({ 'login-link': link });
      const iterator = element.events({ types: ['tab-updated'] });
      let count = 0;
      element.on('tab-updated', () => (count += 1));
      for (let at = 0; at < 10_000; at += 1) say(element, 'tab-updated', { id: 'T1', title: String(at) });
      await until(() => count === 10_000);
      const { value } = await iterator.next();
      return [count, value.detail.title, await element.page.title()];
    });
    assert.deepEqual(count, [10_000, '9000', 'First']);
  });
});

suite('policy', (test) => {
  test('gated groups are off until they are opened', async ({ run }) => {
    const result = await run(async ({ make }) => {
      const open = (attributes) => {
        const { tabs, page, act, augment, capture, select } = make(attributes).session.capabilities();
        return { tabs, page, act, augment: augment.write, capture, select: select.use };
      };
      return {
        none: open({}),
        full: open({ 'interaction-mode': 'full' }),
        limited: open({ 'interaction-mode': 'limited' }),
        view: open({ 'interaction-mode': 'view-only', policy: '{"act":true}' }),
        snapshot: open({ capture: 'snapshot' }),
        sampled: open({ capture: 'sampled' }),
        off: open({ capture: 'off', 'interaction-mode': 'full' }),
        tree: open({ policy: '{"capture":{"frame":true},"tabs":{"write":false}}' }),
        wrapped: open({ policy: '{"apiCapabilities":{"augment":true}}' }),
        broken: open({ policy: '{', 'interaction-mode': 'full' }),
      };
    });
    const all = { navigate: true, click: true, type: true, evaluate: true, wait: true };
    const both = { frame: true, viewport: true };
    const neither = { frame: false, viewport: false };
    const { none, full, limited, view, snapshot, sampled, off, tree, wrapped, broken } = result;
    assert.deepEqual(none, {
      tabs: { read: true, write: true },
      page: { read: true, navigate: true },
      act: all,
      augment: false,
      capture: neither,
      select: false,
    });
    assert.deepEqual([full.augment, full.capture, full.select], [true, both, true]);
    assert.deepEqual([limited.tabs.write, limited.act], [false, { ...all, evaluate: false }]);
    assert.deepEqual(
      [view.tabs.write, view.page.navigate, Object.values(view.act).some(Boolean)],
      [false, false, false],
    );
    assert.deepEqual([snapshot.capture, sampled.capture, off.capture], [both, both, neither]);
    assert.deepEqual([tree.capture, tree.tabs.write], [{ frame: true, viewport: false }, false]);
    assert.deepEqual([wrapped.augment, wrapped.select], [true, false]);
    assert.deepEqual([broken.tabs.read, broken.augment], [false, false]);
  });

  test('a denial is an error and an event, and does not reach the page', async ({ run }) => {
    const result = await run(async ({ ready, link, failure, heard, names }) => {
      const element = await ready({ 'login-link': link, 'interaction-mode': 'view-only' });
      element.seen.length = 0;
      const error = await failure(element.click('#a'));
      const act = await failure(element.act({ navigate: 'https://a.example/' }));
      const augment = await failure((async () => element.augment({ kind: 'toast' }))());
      const calls = (await heard(element)).filter(({ type }) => type === 'bbx-api-call');
      const [, detail] = element.seen.find(([type]) => type === 'policy-denied');
      return { error, act: act.code, augment: augment.code, calls: calls.length, detail, names: names(element) };
    });
    assert.equal(result.error.name, 'BrowserBoxPolicyError');
    assert.deepEqual(
      [result.error.code, result.error.status, result.error.retriable],
      ['ERR_POLICY_DENIED', 403, false],
    );
    assert.deepEqual([result.act, result.augment, result.calls], ['ERR_POLICY_DENIED', 'ERR_POLICY_DENIED', 0]);
    assert.deepEqual([result.detail.method, result.detail.capability], ['click', 'act.click']);
    assert.equal(result.names.filter((name) => name === 'policy-denied').length, 3);
    assert.equal(result.names.filter((name) => name === 'policy.denied').length, 3);
  });

  test('what the server takes away mid-session is gone, and both sides changes are told', async ({ run }) => {
    const result = await run(async ({ ready, link, say, until, failure, heard }) => {
      const element = await ready({ 'login-link': link, policy: '{"augment":true}' });
      const told = () => element.seen.filter(([type]) => type === 'policy.changed').map(([, detail]) => detail);
      const policy = { ...element.policy.get(), policyVersion: 2, apiCapabilities: { act: { click: false } } };
      say(element, 'bbx-policy-sync', { policy });
      await until(() => told().length === 1);
      const error = await failure(element.click('#a'));
      element.augment({ kind: 'toast', content: 'here' });
      element.policy = null;
      element.interactionMode = 'limited';
      const ui = await until(async () => (await heard(element)).findLast(({ type }) => type === 'bbx-ui-sync'));
      return {
        error: error.code,
        version: element.policy.get().policyVersion,
        told: told().map(({ reason, capabilities }) => [
          reason,
          capabilities.act.click,
          capabilities.augment.write,
          capabilities.act.evaluate,
        ]),
        mode: ui.data.interactionMode,
        type: (await element.type('#a', 'b')).result,
      };
    });
    assert.deepEqual(result, {
      error: 'ERR_POLICY_DENIED',
      version: 2,
      told: [
        ['server', false, true, true],
        ['policy attribute', false, false, true],
        ['interaction-mode attribute', false, false, false],
      ],
      mode: 'limited',
      type: true,
    });
  });

  test("the page's controls follow the attributes and the methods", async ({ run }) => {
    const result = await run(async ({ ready, link, heard, say, until }) => {
      const element = await ready({ 'login-link': link });
      element.setAttribute('chrome', 'minimal');
      const shown = await element.uiVisible(false);
      const allowed = await element.allowUserToggleUI(false);
      const syncs = (await heard(element)).filter(({ type }) => type === 'bbx-ui-sync').map(({ data }) => data);
      say(element, 'ui-visible-changed', { visible: true });
      await until(() => element.getAttribute('ui-visible') === 'true');
      return { shown, allowed, syncs: syncs.map((sync) => [sync.chromeMode, sync.uiVisible, sync.allowUserToggleUI]) };
    });
    assert.deepEqual([result.shown, result.allowed], [false, false]);
    assert.deepEqual(result.syncs.at(-1), ['minimal', false, false]);
  });
});
