// The handshake, the iframe, retries, routing, and everything an embedder may do to an element at run time.

import assert from 'node:assert/strict';
import { suite } from './browser.mjs';

suite('lifecycle', (test, { name }) => {
  test('a session becomes ready, once, with both names of the event', async ({ run, host }) => {
    const { names, api, heard, waited, session } = await run(async ({ ready, names, heard, link, until }) => {
      const element = await ready({ 'login-link': link });
      await until(() => names(element).includes('mid-synced'));
      const { id, usable, transport, ready: there } = element.session;
      return {
        names: names(element),
        api: element.seen.find(([type]) => type === 'api-ready')[1],
        heard: await heard(element),
        waited: await element.whenReady(),
        session: { id, usable, transport, there },
      };
    });
    for (const name of ['ready', 'api-ready', 'api.ready', 'usability-changed', 'mid-synced'])
      assert.equal(names.filter((one) => one === name).length, 1, name);
    assert.ok(api.methods.includes('navigateTo'));
    assert.equal(api.policy.policyId, 'P');
    assert.equal(waited, true);
    assert.deepEqual(session, { id: '68365e2c721798', usable: true, transport: 'modern', there: true });
    assert.ok(heard.every(({ origin }) => origin === host.embedder));
    assert.ok(!JSON.stringify(heard).includes('secret'), 'the login link was told to the page');
    const mid = heard.find(({ type }) => type === 'bbx-mid-sync');
    assert.deepEqual(mid.data, { mid: '68365e2c721798', reason: 'handshake', attempt: 1 });
    const ui = heard.find(({ type }) => type === 'bbx-ui-sync').data;
    assert.deepEqual(ui, {
      uiVisible: true,
      allowUserToggleUI: true,
      chromeMode: 'default',
      mediaPermissions: '',
      sessionUnloadWarning: false,
      beforeunloadBehavior: 'prompt',
      embedderOrigin: host.embedder,
      interactionMode: 'full',
      reason: 'ready',
    });
  });

  test('the iframe may what it has to, and no more', async ({ run }) => {
    const { allow, sandbox, narrow } = await run(async ({ make, frameOf, link }) => {
      const element = make({ 'login-link': link });
      const other = make({ 'login-link': link, 'media-permissions': 'camera' });
      const frame = frameOf(element);
      return { allow: frame.allow, sandbox: frame.getAttribute('sandbox'), narrow: frameOf(other).allow };
    });
    for (const word of [
      'clipboard-read',
      'fullscreen',
      'autoplay',
      'camera',
      'microphone',
      'display-capture',
      'geolocation',
    ])
      assert.ok(allow.includes(word), word);
    assert.ok(narrow.includes('camera') && !narrow.includes('microphone'));
    assert.ok(sandbox.includes('allow-storage-access-by-user-activation'));
    assert.ok(!sandbox.includes('top-navigation'));
  });

  test('a page that does not answer is loaded again five times and then given up', async ({ run, host }) => {
    host.kind = 'silent';
    const { retries, last, error } = await run(async ({ make, link, until, names, failure }) => {
      const element = make({ 'login-link': link });
      const error = await failure(element.whenReady({ timeoutMs: 20_000 }));
      await until(() => names(element).includes('disconnected'));
      const retries = element.seen.filter(([type]) => type === 'iframe-retry').map(([, detail]) => detail);
      return { retries, last: names(element).slice(-2), error };
    });
    assert.deepEqual(retries, [
      { attempt: 1, maxAttempts: 5, delayMs: 20 },
      { attempt: 2, maxAttempts: 5, delayMs: 40 },
      { attempt: 3, maxAttempts: 5, delayMs: 60 },
      { attempt: 4, maxAttempts: 5, delayMs: 60 },
      { attempt: 5, maxAttempts: 5, delayMs: 60 },
    ]);
    assert.deepEqual(last, ['disconnected', 'session.disconnected']);
    assert.equal(error.code, 'ERR_TRANSPORT');
    assert.deepEqual(
      host.logins.map((search) => new URLSearchParams(search).get('bbx_embed_retry')),
      [null, '1', '2', '3', '4', '5'],
    );
  });

  test('a page that answers after a reload is used, and calls that waited are made', async ({ run, host }) => {
    host.kind = 'silent';
    const title = run(async ({ make, link }) => make({ 'login-link': link }).page.title());
    while (host.logins.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    host.kind = 'modern';
    assert.equal(await title, 'First');
  });

  test('waiting has an end that can be tried again', async ({ run, host }) => {
    host.kind = 'silent';
    const { error, event } = await run(async ({ make, link, failure }) => {
      const element = make({ 'login-link': link });
      const error = await failure(element.whenReady({ timeoutMs: 150 }));
      const [, { timeoutMs, error: told }] = element.seen.find(([type]) => type === 'ready-timeout');
      return { error, event: { timeoutMs, code: told.code } };
    });
    assert.equal(error.code, 'ERR_NOT_READY');
    assert.equal(error.retriable, true);
    assert.deepEqual(event, { timeoutMs: 150, code: 'ERR_NOT_READY' });
  });

  test('reconnecting can be stopped, and what waits is told', async ({ run, host }) => {
    host.kind = 'silent';
    const { error, logins } = await run(async ({ make, link, failure, sleep }) => {
      const element = make({ 'login-link': link });
      const call = failure(element.getTabs());
      element.stopReconnectAttempts('enough');
      const error = await call;
      await sleep(600);
      return { error };
    });
    assert.match(error.message, /enough/);
    assert.equal(error.code, 'ERR_TRANSPORT');
    assert.equal(logins, undefined);
    assert.equal(host.logins.length, 1);
  });

  test('an element can be moved, removed and added again', async ({ run }) => {
    const result = await run(async ({ ready, link, until, names }) => {
      const element = await ready({ 'login-link': link });
      const box = document.createElement('div');
      document.body.append(box);
      box.append(element);
      const moved = await element.getTabCount();
      const quiet = !names(element).includes('disconnected');
      element.remove();
      await until(() => names(element).includes('disconnected'));
      const gone = element.session.usable;
      document.body.append(element);
      await element.whenReady();
      return { moved, quiet, gone, count: await element.getTabCount() };
    });
    assert.deepEqual(result, { moved: 1, quiet: true, gone: false, count: 1 });
  });

  test('two elements on a page do not hear each other, and both names work', async ({ run }) => {
    const result = await run(async ({ ready, link, say, until, names, sleep }) => {
      const first = await ready({ 'login-link': link });
      const second = await ready({ 'login-link': link }, { name: 'vitrine-webview' });
      await second.createTab('https://two.example/');
      say(first, 'tab-closed', { index: 0, id: 'T9' });
      await until(() => names(first).includes('tab-closed'));
      await sleep(50);
      return {
        counts: [await first.getTabCount(), await second.getTabCount()],
        second: names(second).includes('tab-closed'),
      };
    });
    assert.deepEqual(result, { counts: [1, 2], second: false });
  });

  test('another login link ends what was, and starts anew', async ({ run }) => {
    const result = await run(async ({ ready, link, rule, failure, names }) => {
      const element = await ready({ 'login-link': link });
      rule(element, 'click', { times: 9, silent: true });
      const call = failure(element.click('#a'));
      element.loginLink = link.replace('mid=68365e2c721798', 'mid=aaaa');
      const error = await call;
      await element.whenReady();
      return { error, mid: element.routingMid, told: names(element).filter((name) => name === 'disconnected').length };
    });
    assert.equal(result.error.code, 'ERR_TRANSPORT');
    assert.equal(result.mid, 'aaaa');
    assert.equal(result.told, 1);
  });

  test('a page that loads itself again is greeted again, and calls under way are made again with their callId', async ({
    run,
  }) => {
    const result = await run(async ({ ready, link, rule, reloadPage, effects, names }) => {
      const element = await ready({ 'login-link': link });
      rule(element, 'click', { times: 1, silent: true });
      const call = element.click('#a');
      reloadPage(element);
      const value = await call;
      return {
        value,
        effects: await effects(element),
        ready: names(element).filter((name) => name === 'ready').length,
      };
    });
    assert.deepEqual(result, { value: { result: true }, effects: ['click'], ready: 2 });
  });

  test('links that are no web address, and a foreign parent-origin, are refused', async ({ run, host }) => {
    const result = await run(async ({ make, link, failure, frameOf }) => {
      const refused = [];
      for (const attributes of [
        { 'login-link': 'javascript:alert(1)' },
        { 'login-link': 'data:text/html,x' },
        { 'login-link': link, 'parent-origin': 'https://app.example.com' },
      ]) {
        const element = make(attributes);
        refused.push({ code: (await failure(element.whenReady())).code, src: frameOf(element).getAttribute('src') });
      }
      const own = make({ 'login-link': link, 'parent-origin': location.origin });
      return { refused, own: await own.whenReady() };
    });
    const none = { code: 'ERR_INVALID_ARGUMENT', src: null };
    assert.deepEqual(result, { refused: [none, none, none], own: true });
    assert.equal(host.logins.length, 1);
  });

  test('refresh logs in again, updateIframe resets the viewport, disconnect ends it', async ({ run, host }) => {
    const result = await run(async ({ ready, link, heard, failure, names, until }) => {
      const element = await ready({ 'login-link': link, 'ui-visible': 'false' });
      element.updateIframe();
      const reset = await until(async () => (await heard(element)).find(({ type }) => type === 'bbx-viewport-reset'));
      element.refresh();
      await element.whenReady();
      element.session.disconnect();
      const error = await failure(element.getTabs());
      return {
        reset: reset.data,
        error: error.code,
        told: names(element).filter((name) => name === 'disconnected').length,
      };
    });
    assert.deepEqual(result, { reset: { reason: 'updateIframe' }, error: 'ERR_TRANSPORT', told: 1 });
    const [first, second] = host.logins.map((search) => new URLSearchParams(search));
    assert.equal(first.get('ui'), 'false');
    assert.equal(first.get('bbx_recover_t'), null);
    assert.match(second.get('bbx_recover_t'), /^\d+$/);
  });

  test('a page that goes on speaking while it is replaced is not taken for the new one', async ({ run, host }) => {
    const result = await run(async ({ ready, link, say, heard, names }) => {
      const element = await ready({ 'login-link': link });
      element.refresh();
      for (let at = 0; at < 100; at += 1) say(element, 'tab-updated', { id: 'T1' });
      say(element, 'bbx-sos', { reasonCode: 'session_ended', message: 'The page before.' });
      await element.whenReady();
      const told = (await heard(element)).map(({ type }) => type);
      return { told: ['init', 'bbx-ui-sync'].every((type) => told.includes(type)), seen: names(element) };
    });
    assert.ok(result.told);
    for (const name of ['tab-updated', 'sos', 'disconnected']) assert.ok(!result.seen.includes(name), name);
    assert.equal(result.seen.filter((name) => name === 'api-ready').length, 2);
    assert.equal(host.logins.length, 2);
  });

  test('a session that is over says so and is not asked any more', async ({ run, host }) => {
    host.kind = 'lost';
    const result = await run(async ({ make, link, failure, sleep }) => {
      const element = make({ 'login-link': link });
      const error = await failure(element.whenReady());
      await sleep(700);
      return { error, sos: element.seen.filter(([type]) => type === 'sos'), health: (await element.health()).ok };
    });
    assert.equal(result.error.code, 'ERR_TRANSPORT');
    assert.equal(result.error.retriable, false);
    assert.deepEqual(result.sos, [
      ['sos', { reasonCode: 'session_ended', message: 'The session is over.', retryUrl: null }],
    ]);
    assert.equal(result.health, false);
    assert.equal(host.logins.length, 1);
  });

  test('a session whose access ran out is logged in to again, once', async ({ run, host }) => {
    const result = await run(async ({ ready, link, say, until, names }) => {
      const element = await ready({ 'login-link': link });
      const denied = { reasonCode: 'access_denied', message: 'Access has run out.', retryUrl: null };
      say(element, 'bbx-sos', denied);
      await until(() => names(element).filter((name) => name === 'api-ready').length === 2);
      return { sos: names(element).includes('sos'), title: await element.page.title(), usable: element.session.usable };
    });
    assert.deepEqual(result, { sos: false, title: 'First', usable: true });
    assert.equal(host.logins.length, 2);
  });

  test('what the page says of its own use, and a routing id that nobody acknowledges', async ({ run, host }) => {
    host.kind = 'deaf';
    const result = await run(async ({ ready, link, say, until, names }) => {
      const element = await ready({ 'login-link': link });
      say(element, 'usability-changed', { usable: false, reason: 'reconnecting' });
      await until(() => !element.session.usable);
      say(element, 'usability-changed', { usable: true, reason: 'connected' });
      await until(() => element.session.usable);
      const [, unsynced] = await until(() => element.seen.find(([type]) => type === 'mid-sync-timeout'));
      const usability = element.seen.filter(([type]) => type === 'usability-changed').map(([, detail]) => detail);
      return { unsynced, usability, synced: names(element).includes('mid-synced') };
    });
    assert.deepEqual(result.unsynced, { attempts: 4, mid: '68365e2c721798' });
    assert.deepEqual(result.usability, [
      { usable: true, reason: 'ready' },
      { usable: false, reason: 'reconnecting' },
      { usable: true, reason: 'connected' },
    ]);
    assert.equal(result.synced, false);
  });

  test('the module can be there twice, and a move that keeps the iframe disturbs nothing', async ({ run }) => {
    const result = await run(async ({ ready, link, names, sleep }) => {
      await import('/webview.js?again');
      const element = await ready({ 'login-link': link });
      await element.createTab('https://two.example/');
      const box = document.createElement('div');
      document.body.append(box);
      if (box.moveBefore) box.moveBefore(element, null);
      await sleep(100);
      return { tabs: await element.getTabCount(), lost: names(element).includes('disconnected') };
    });
    // Firefox loads a frame inside of a moved shadow tree anew.
    assert.deepEqual(result, { tabs: name === 'Chromium' ? 2 : 1, lost: false });
  });

  test('what a stranger says is not heard', async ({ run, host }) => {
    const result = await run(async ({ ready, link, names, sleep, until }, stranger) => {
      const element = await ready({ 'login-link': link });
      await until(() => names(element).includes('mid-synced') && names(element).includes('ready'));
      const before = names(element).length;
      const forged = { apiCapabilities: { tabs: { read: false } } };
      postMessage({ type: 'bbx-policy-sync', data: { policy: forged } }, '*');
      postMessage({ type: 'bbx-sos', data: { reasonCode: 'x' } }, '*');
      const frame = document.createElement('iframe');
      frame.src = stranger;
      document.body.append(frame);
      await sleep(300);
      return { more: names(element).length - before, tabs: await element.getTabCount() };
    }, host.stranger);
    assert.deepEqual(result, { more: 0, tabs: 1 });
  });

  test('sizes and properties reflect', async ({ run }) => {
    const result = await run(async ({ make }) => {
      const element = make({ width: '320', height: '50%' });
      const style = getComputedStyle(element);
      const before = { width: style.width, text: [element.width, element.height], timeout: element.requestTimeoutMs };
      element.width = 200;
      element.requestTimeoutMs = 5;
      element.parentOrigin = location.origin;
      element.chrome = 'none';
      element.policy = { capture: true };
      element.capture = 'off';
      const after = {
        width: style.width,
        timeout: element.requestTimeoutMs,
        link: element.loginLink,
        mid: element.routingMid,
      };
      return { before, after, attributes: element.getAttributeNames().sort(), policy: element.getAttribute('policy') };
    });
    assert.deepEqual(result.before, { width: '320px', text: ['320', '50%'], timeout: 30_000 });
    assert.deepEqual(result.after, { width: '200px', timeout: 100, link: null, mid: null });
    assert.deepEqual(result.attributes, [
      'capture',
      'chrome',
      'height',
      'parent-origin',
      'policy',
      'request-timeout-ms',
      'width',
    ]);
    assert.equal(result.policy, '{"capture":true}');
  });

  test('an element that was there and was given properties before the definition is upgraded', async ({
    page,
    host,
  }) => {
    const title = await page.evaluate(async (link) => {
      const element = document.createElement('browserbox-webview');
      element.loginLink = link;
      element.policy = { augment: true };
      document.body.append(element);
      await import('/webview.js');
      return [await element.page.title(), element.session.capabilities().augment.write];
    }, host.loginLink());
    assert.deepEqual(title, ['First', true]);
  });
});
