// Every way to call: flat methods, namespaces, act, the old protocol; repeats, time limits and the errors they end
// in.

import assert from 'node:assert/strict';
import { suite } from './browser.mjs';

suite('calls', (test) => {
  test('every flat method goes to the page under its name', async ({ run }) => {
    const flat =
      'getTabs getTabCount getActiveTab getActiveTabIndex createTab createTabs closeTab closeTabById closeAllTabs switchToTab ' +
      'switchToTabById navigateTo navigateTab submitOmnibox reload goBack goForward stop waitForTabCount waitForTabUrl ' +
      'getFavicons waitForNonDefaultFavicon getScreenMetrics getTransportDiagnostics click type waitForSelector ' +
      'waitForNavigation getCurrentModal respondToModal dismissModal captureFrame getFrame cleanSlate resolvePageTarget ' +
      'getPageText getPageUrl getPageTitle getPageFavicon';
    const sent = await run(async ({ ready, link, heard }, names) => {
      const element = await ready({ 'login-link': link, 'interaction-mode': 'full' });
      for (const name of names) await element[name]('T1', { a: 1 }).catch(() => {});
      await element.evaluate('1').catch(() => {});
      await element.frameCapture();
      const calls = (await heard(element)).filter(({ type }) => type === 'bbx-api-call');
      return calls.map(({ data }) => [data.method, data.args]);
    }, flat.split(' '));
    const expected = flat.split(' ').map((name) => [name, ['T1', { a: 1 }]]);
    assert.deepEqual(sent, [...expected, ['evaluate', ['1']], ['getFrame', []]]);
  });

  test('values come as they are, and evaluate and act unwrap them', async ({ run }) => {
    const result = await run(async ({ ready, link }) => {
      const element = await ready({ 'login-link': link, capture: 'snapshot' });
      const acts = [];
      for (const action of [
        { navigate: 'https://a.example/' },
        { click: { selector: '#a', timeoutMs: 50 } },
        { click: '#a' },
        { type: { selector: '#a', text: '' } },
        { evaluate: '1' },
        { waitForSelector: { selector: '#a' } },
        { waitForNavigation: { timeoutMs: 50 } },
      ])
        acts.push(await element.act(action));
      const { bytes } = await element.frameCapture();
      return {
        acts,
        evaluate: await element.evaluate('location.href'),
        click: await element.click('#a'),
        call: await element.callApi('evaluate', '1'),
        modal: await element.getCurrentModal(),
        bytes: [...new Uint8Array(bytes)],
        methods: (await element.listApiMethods()).includes('click'),
        asked: (await element.listApiMethods({ refresh: true })).includes('click'),
      };
    });
    const ok = (action, value) => ({ ok: true, action, value });
    assert.deepEqual(result.acts, [
      ok('navigate', { ok: true, url: 'https://a.example/', tabId: 'T1' }),
      ok('click', true),
      ok('click', true),
      ok('type', true),
      ok('evaluate', 'value of 1'),
      ok('waitForSelector', true),
      ok('waitForNavigation', true),
    ]);
    assert.equal(result.evaluate, 'value of location.href');
    assert.deepEqual(result.click, { result: true });
    assert.deepEqual(result.call, { result: { type: 'string', value: 'value of 1' } });
    assert.deepEqual([result.bytes, result.modal], [[1, 2], null]);
    assert.ok(result.methods && result.asked);
  });

  test('the namespaces', async ({ run }) => {
    const result = await run(async ({ ready, link }) => {
      const element = await ready({ 'login-link': link, 'interaction-mode': 'full' });
      const { tabs, page, capture, select } = element;
      const made = await tabs.create({ url: 'https://b.example/', active: false });
      const active = await tabs.getActive();
      await tabs.activate(made.id);
      const selection = await select({ prompt: 'Pick', intent: 'link' });
      return {
        active: active.id,
        list: (await tabs.list()).map(({ id, index, active, faviconDataURI }) => [id, index, active, faviconDataURI]),
        closed: await tabs.close('T1'),
        navigated: await page.navigate('https://c.example/'),
        url: await page.url(),
        title: await page.title(),
        text: [await page.text(), await page.text({ mainContentOnly: true })],
        metrics: await page.metrics(),
        frames: [await capture.frame({ format: 'png' }), await capture.viewport()],
        raw: selection.getRaw(),
        generalized: await selection.generalize(),
        extracted: await selection.extract({ maxItems: 3 }),
      };
    });
    assert.equal(result.active, 'T1');
    assert.deepEqual(result.list, [
      ['T1', 0, false, null],
      ['T2', 1, true, null],
    ]);
    assert.deepEqual(result.navigated, { ok: true, url: 'https://c.example/', tabId: 'T2' });
    assert.equal(result.url, 'https://c.example/');
    assert.deepEqual(result.text, ['all', 'main']);
    assert.deepEqual(result.metrics, {
      viewport: { width: 640, height: 360, scale: 2, zoom: 1 },
      document: { width: 640, height: 900 },
      scroll: { x: 0, y: 5 },
      surface: null,
    });
    assert.deepEqual(
      result.frames.map((url) => atob(url.split(',')[1])),
      ['frame', 'viewport'],
    );
    assert.deepEqual(result.raw, {
      selector: 'a',
      selectors: ['a', 'p > a'],
      text: 'A link',
      href: null,
      htmlSnippet: '<a>',
    });
    assert.equal(result.generalized.count, 1);
    assert.deepEqual(result.extracted, { selector: 'a, b', items: [], count: 0 });
  });

  test('a passing failure is tried three times with one callId, and its effect is one', async ({ run }) => {
    const result = await run(async ({ ready, link, rule, heard, effects }) => {
      const element = await ready({ 'login-link': link, 'request-timeout-ms': '700' });
      rule(element, 'click', { times: 2, silent: true, effect: true });
      const value = await element.click('#a');
      const calls = (await heard(element)).filter(({ type }) => type === 'bbx-api-call');
      return {
        value,
        calls: calls.map(({ requestId, data }) => [requestId, data.callId]),
        effects: await effects(element),
      };
    });
    assert.deepEqual(result.value, { result: true });
    assert.equal(new Set(result.calls.map(([request]) => request)).size, 3);
    assert.equal(new Set(result.calls.map(([, call]) => call)).size, 1);
    assert.deepEqual(result.effects, ['click']);
  });

  test('a failure that stays is not tried again, one that may pass three times', async ({ run }) => {
    const result = await run(async ({ ready, link, rule, heard, failure }) => {
      const element = await ready({ 'login-link': link, 'request-timeout-ms': '700' });
      const tried = async (name, given) => {
        rule(element, name, { times: 9, ...given });
        const before = (await heard(element)).length;
        const error = await failure(element.callApi(name));
        const calls = (await heard(element)).slice(before).filter(({ type }) => type === 'bbx-api-call');
        return [error.code, error.retriable, calls.length];
      };
      return [
        await tried('stop', { error: 'the page is not ready' }),
        await tried('reload', { error: 'tab does not exist' }),
        await tried('goBack', { error: 'it took longer', code: 'ERR_TIMEOUT', retriable: false }),
        await tried('goForward', { silent: true }),
      ];
    });
    assert.deepEqual(result, [
      ['ERR_NOT_READY', true, 3],
      ['ERR_NOT_FOUND', false, 1],
      ['ERR_TIMEOUT', false, 1],
      ['ERR_TIMEOUT', true, 3],
    ]);
  });

  test('errors by word and by code', async ({ run }) => {
    const words = {
      'call timed out': 'ERR_TIMEOUT',
      'page not ready': 'ERR_NOT_READY',
      'a selection is already active': 'ERR_NOT_READY',
      'tab already exists': 'ERR_CONFLICT',
      'unknown api method x': 'ERR_UNSUPPORTED',
      'there is no legacy fallback': 'ERR_UNSUPPORTED',
      'click requires a non-empty selector': 'ERR_INVALID_ARGUMENT',
      'act requires an object': 'ERR_INVALID_ARGUMENT',
      'requires target.selector': 'ERR_INVALID_ARGUMENT',
      'tab does not exist': 'ERR_NOT_FOUND',
      'no active tab': 'ERR_NOT_FOUND',
      'page does not support this': 'ERR_UNSUPPORTED',
      'the iframe went away': 'ERR_TRANSPORT',
      'something else': 'ERR_INTERNAL',
    };
    const result = await run(async ({ ready, link, rule, failure }, words) => {
      const element = await ready({ 'login-link': link });
      const codes = {};
      for (const error of words) {
        rule(element, 'reload', { times: 9, error });
        codes[error] = (await failure(element.reload())).code;
      }
      rule(element, 'reload', { times: 1, error: 'no', code: 'ERR_POLICY_DENIED', status: 403 });
      const denied = await failure(element.reload());
      const circular = [() => {}];
      return {
        codes,
        denied,
        empty: (await failure(element.callApi(''))).code,
        uncloneable: (await failure(element.callApi('reload', circular))).code,
        act: (await failure(element.act({ click: '#a', type: {} }))).code,
        unknown: (await failure(element.callApi('fly'))).code,
      };
    }, Object.keys(words));
    assert.deepEqual(result.codes, words);
    assert.deepEqual(result.denied, {
      name: 'BrowserBoxPolicyError',
      code: 'ERR_POLICY_DENIED',
      message: 'no',
      status: 403,
      retriable: false,
      kind: result.denied.kind,
    });
    const { empty, uncloneable, act, unknown } = result;
    assert.deepEqual([empty, uncloneable, act], Array(3).fill('ERR_INVALID_ARGUMENT'));
    assert.equal(unknown, 'ERR_UNSUPPORTED');
  });

  test('a page that knows only the old protocol', async ({ run, host }) => {
    host.kind = 'legacy';
    const result = await run(async ({ ready, link, failure }) => {
      const element = await ready({ 'login-link': link });
      const made = await element.createTab('https://d.example/');
      const navigated = await element.navigateTo('https://e.example/');
      const counted = await element.waitForTabCount(2);
      await element.switchToTab(0);
      return {
        transport: element.session.transport,
        made: made.url,
        navigated,
        counted,
        index: await element.getActiveTabIndex(),
        url: await element.page.url(),
        tabs: (await element.tabs.list()).length,
        unsupported: (await failure(element.click('#a'))).code,
        methods: (await element.listApiMethods()).includes('navigateTo'),
        health: (await element.health()).ok,
      };
    });
    assert.deepEqual(result, {
      transport: 'legacy',
      made: 'https://d.example/',
      navigated: { ok: true, url: 'https://e.example/', tabId: 'T2' },
      counted: 2,
      index: 0,
      url: 'https://example.com/',
      tabs: 2,
      unsupported: 'ERR_UNSUPPORTED',
      methods: true,
      health: true,
    });
  });

  test('a page that answers modern calls without having said so', async ({ run, host }) => {
    host.kind = 'probe';
    const result = await run(async ({ ready, link }) => {
      const element = await ready({ 'login-link': link });
      return [element.session.transport, await element.page.title()];
    });
    assert.deepEqual(result, ['modern', 'First']);
  });

  test('health says how it is, also when nothing is', async ({ run }) => {
    const result = await run(async ({ make, link }) => {
      const element = make({});
      const before = await element.health();
      element.loginLink = link;
      await element.whenReady();
      return { before, after: await element.session.health({ timeoutMs: 500 }) };
    });
    const { before, after } = result;
    assert.deepEqual([before.ok, before.ready, before.transport, before.latencyMs], [false, false, 'unknown', null]);
    assert.deepEqual([after.ok, after.usable, after.ready, after.transport], [true, true, true, 'modern']);
    assert.equal(after.sessionId, '68365e2c721798');
    assert.ok(after.latencyMs < 500 && after.timestamp > 0);
    assert.equal(after.diagnostics.transport.codec, 'h264');
  });

  test('a hundred calls at once are all answered, sixteen on their way', async ({ run }) => {
    const count = await run(async ({ ready, link }) => {
      const element = await ready({ 'login-link': link });
      const answers = await Promise.all(Array.from({ length: 100 }, () => element.page.title()));
      return answers.filter((title) => title === 'First').length;
    });
    assert.equal(count, 100);
  });
});
