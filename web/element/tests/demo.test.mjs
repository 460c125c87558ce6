// The demo page: a visitor starts a browser, calls methods, reloads, leaves and ends.

import assert from 'node:assert/strict';
import { suite } from './browser.mjs';

const words = (page, selector) => page.$eval(selector, ({ textContent }) => textContent);
const press = (page, selector) => page.$eval(selector, (element) => element.click());
const until = async (wanted) => {
  for (const end = Date.now() + 10_000; Date.now() < end;) {
    if (await wanted()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`did not come: ${wanted}`);
};

async function call(page, method, args) {
  await page.$eval(
    '#method',
    (input, value) => ((input.value = value), input.dispatchEvent(new Event('change'))),
    method,
  );
  await page.$eval('#arguments', (input, value) => (input.value = value), args);
  await press(page, '#call button');
  await until(async () => !['', '…'].includes(await words(page, '#result')) || (await page.$('#result img')));
  return words(page, '#result');
}

suite('demo', (test) => {
  test('a visitor gets a browser, calls it, comes back to it and ends it', async ({ page, host }) => {
    await page.goto(`${host.embedder}/demo`);
    await until(async () => /15 minutes/.test(await words(page, '#status')));
    await press(page, '#start');
    await page.waitForSelector('#call button:not([disabled])');
    assert.equal(await call(page, 'page.title', ''), 'First');
    assert.equal(
      await call(page, 'act', '{"evaluate": "1"}'),
      '{\n "ok": true,\n "action": "evaluate",\n "value": "value of 1"\n}',
    );
    assert.match(await call(page, 'tabs.close', '"T9"'), /^ERR_NOT_FOUND: /);
    assert.match(await call(page, 'page.navigate', 'oops'), /JSON|token/i);
    await call(page, 'capture.frame', '{"format": "png"}');
    assert.ok(await page.$('#result img'));
    await call(page, 'page.navigate', '"https://demo.example/"');
    await until(async () => /page\.navigated .*demo\.example/s.test(await words(page, '#log')));

    await page.reload();
    await page.waitForSelector('#call button:not([disabled])');
    await until(async () => /more\.$/.test(await words(page, '#status')));
    const left = host.demoRequests.find(([, path]) => path === '/api/session/disconnect');
    assert.equal(left[2], '{"mode":"defer","sessionId":"D1"}');
    assert.match(left[3], /^text\/plain/);
    assert.equal(host.demoRequests.filter(([method, path]) => method === 'POST' && path === '/api/session').length, 1);

    await press(page, '#end');
    await until(() => host.demo === null);
    assert.match(await words(page, '#status'), /Ended/);
    assert.equal(await page.$('browserbox-webview'), null);
  });

  test('a refusal is said to the visitor', async ({ page, host }) => {
    host.demoRefusal = { error: 'too many demo sessions', reason: 'address', waitMinutes: 7 };
    await page.goto(`${host.embedder}/demo`);
    await page.waitForSelector('#start:not([hidden])');
    await press(page, '#start');
    await until(async () => /too many demo sessions.*7 minutes/.test(await words(page, '#status')));
    assert.equal(await page.$eval('#start', ({ disabled }) => disabled), false);
  });
});
