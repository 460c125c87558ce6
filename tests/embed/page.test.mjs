// What the element does inside the remote page: hands, scripts, waiting, text, metrics.

import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

let world;
let view;
before(async () => {
  world = await startWorld();
  view = await world.embed(await world.open(), await world.claim());
});
after(() => world?.stop());
beforeEach(() => view?.run((element, url) => element.navigateTo(url), world.site('form')));

const inside = (expression) => view.run((element, text) => element.evaluate(text), expression);

behaviour('hands are real', ['click', 'type', 'evaluate'], async () => {
  await view.run((element) => element.type('#name', 'Ada Lovelace'));
  await view.run((element) => element.click('#send'));
  assert.equal(await inside('result.textContent'), 'Sent Ada Lovelace');
  assert.equal(await inside('clicks'), 1);
  assert.ok((await inside('trusted')).every(Boolean), 'the page sees events of a person');
  await view.run((element) => element.type('#city', 'Größe 日本 🙂', { clear: true }));
  assert.match(await inside('city.value'), /Größe 日本 🙂$/);
});

behaviour('what is not there yet is waited for', ['waitForSelector', 'act waitForSelector'], async () => {
  await view.run((element) => element.click('#late', { timeoutMs: 5_000 }));
  assert.equal(await view.run((element) => element.waitForSelector('#late')), true);
  const none = await view.caught((element) => element.waitForSelector('#nowhere', { timeoutMs: 400 }));
  assert.ok(none.none === false || none.code === 'ERR_TIMEOUT', JSON.stringify(none));
  const acted = await view.run((element) => element.act({ waitForSelector: { selector: '#late', timeoutMs: 2_000 } }));
  assert.deepEqual([acted.ok, acted.action, acted.value], [true, 'waitForSelector', true]);
  const missing = await view.caught((element) => element.click('#nowhere', { timeoutMs: 500 }));
  assert.ok(missing.code, JSON.stringify(missing));
});

behaviour('scripts bring values, promises and errors', ['evaluate', 'act evaluate', 'ERR_INTERNAL'], async () => {
  assert.equal(await inside('6 * 7'), 42);
  assert.deepEqual(await inside('({ a: [1, "b", null, true] })'), { a: [1, 'b', null, true] });
  assert.equal(await inside('new Promise((resolve) => setTimeout(resolve, 50, "later"))'), 'later');
  assert.equal((await inside('undefined')) ?? null, null);
  const thrown = await view.caught((element) => element.evaluate('(() => { throw new Error("not today") })()'));
  assert.equal(thrown.code, 'ERR_INTERNAL');
  assert.match(thrown.message, /not today/);
  const acted = await view.run((element) => element.act({ evaluate: 'document.title' }));
  assert.deepEqual([acted.ok, acted.action, acted.value], [true, 'evaluate', 'A form']);
});

behaviour('one way for every action', ['act click', 'act type', 'act waitForNavigation'], async () => {
  const typed = await view.run((element) => element.act({ type: { selector: '#name', text: 'Grace' } }));
  assert.deepEqual([typed.ok, typed.action], [true, 'type']);
  const clicked = await view.run((element) => element.act({ click: { selector: '#send' } }));
  assert.deepEqual([clicked.ok, clicked.action], [true, 'click']);
  assert.equal(await inside('result.textContent'), 'Sent Grace');
  void view.caught((element, url) => element.navigateTo(url), world.site('slow'));
  const waited = await view.run((element) => element.act({ waitForNavigation: { timeoutMs: 8_000 } }));
  assert.deepEqual([waited.ok, waited.action], [true, 'waitForNavigation']);
  const wrong = await view.caught((element) => element.act({ dance: true }));
  assert.ok(['ERR_INVALID_ARGUMENT', 'ERR_UNSUPPORTED'].includes(wrong.code), wrong.code);
});

behaviour('a navigation is waited for', ['waitForNavigation'], async () => {
  await view.run((element, url) => element.navigateTo(url), world.site('one'));
  await view.run((element) => element.click('#next'));
  await view.run((element) => element.waitForNavigation({ timeoutMs: 5_000 }));
  await eventually(async () => (await view.run((element) => element.page.url())) === world.site('two'), 'the next page');
});

behaviour('a call may be slow and is told so', ['ERR_TIMEOUT', 'attribute request-timeout-ms'], async () => {
  const late = await view.caught((element) => element.evaluate('new Promise(() => {})', { timeoutMs: 300 }));
  assert.equal(late.code, 'ERR_TIMEOUT');
  assert.equal(typeof late.retriable, 'boolean');
  assert.equal(await inside('1 + 1'), 2, 'the session goes on');
});

behaviour('what the page says of itself', ['page.url', 'page.title', 'page.text'], async () => {
  await view.run((element, url) => element.navigateTo(url), world.site('article'));
  await view.run((element) => element.waitForSelector('footer'));
  const told = await view.run(async ({ page }) => [await page.url(), await page.title(), await page.text(), await page.text({ mainContentOnly: true })]);
  assert.deepEqual(told.slice(0, 2), [world.site('article'), 'An article']);
  for (const words of ['Navigation words', 'Paragraph 3', 'Imprint words']) assert.ok(told[2].includes(words), words);
  assert.ok(told[3].includes('Paragraph 3') && told[3].includes('On windows'));
  for (const words of ['Navigation words', 'advertisement words', 'Imprint words']) assert.ok(!told[3].includes(words), words);
});

behaviour('measures of the screen and the way to it', ['getScreenMetrics', 'page.metrics', 'getTransportDiagnostics'], async () => {
  const metrics = await view.run((element) => element.getScreenMetrics());
  assert.ok(Object.values(metrics).some((value) => typeof value === 'number' || typeof value === 'object'), JSON.stringify(metrics));
  const page = await view.run((element) => element.page.metrics());
  assert.ok(JSON.stringify(page).match(/\d{2,}/), JSON.stringify(page));
  const way = await view.run((element) => element.getTransportDiagnostics());
  for (const name of ['rttMs', 'fps', 'kbps', 'framesDropped']) assert.equal(typeof way[name], 'number', name);
  assert.equal(typeof way.codec, 'string');
});

behaviour('a page is measured in its own pixels', ['resolvePageTarget'], async () => {
  await view.run((element, url) => element.navigateTo(url), world.site('list'));
  const found = await view.run((element) => element.callApi('resolvePageTarget', { selector: '.item a' }, { maxMatches: 3 }));
  assert.equal(found.matchCount, 10);
  assert.equal(found.matches.length, 3);
  assert.ok(Math.abs(found.matches[1].y - found.matches[0].y - 30) < 1, JSON.stringify(found.matches));
  assert.equal(found.sample[0].text, 'Item 0');
  assert.equal(found.sample[0].href, world.site('form?item=0'));
});

behaviour('a call that is sent again is done once', ['a call repeated by callId is done once'], async () => {
  // Past the element, as its repeats travel: the same callId, another requestId.
  const frame = await view.run(async (element) => {
    const { contentWindow } = element.shadowRoot.querySelector('iframe');
    const origin = new URL(element.loginLink).origin;
    const call = (requestId, callId) =>
      new Promise((resolve) => {
        addEventListener('message', function listen({ data }) {
          if (data?.requestId !== requestId) return;
          removeEventListener('message', listen);
          resolve(data.data ?? data.error);
        });
        contentWindow.postMessage({ type: 'bbx-api-call', requestId, data: { method: 'click', args: ['#send'], callId } }, origin);
      });
    return [await call('a', 'same'), await call('b', 'same'), await call('c', 'another')];
  });
  assert.deepEqual(frame, [{ result: true }, { result: true }, { result: true }]);
  assert.equal(await inside('clicks'), 2);
});
