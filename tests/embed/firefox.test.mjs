// The element in Firefox, by WebDriver BiDi: ready, drives, paints, ends.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import puppeteer from 'puppeteer-core';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

const launch = (preferences = {}) => puppeteer.launch({ browser: 'firefox', executablePath: FIREFOX, headless: true, extraPrefsFirefox: preferences });
/** Firefox's word for: no cookies and no storage at all, of nobody. */
const NO_COOKIES = { 'network.cookie.cookieBehavior': 2 };

let world;
before(async () => (world = await startWorld({}, { browser: launch })));
after(() => world?.stop());

/** The element on an embedder's page, ready. */
async function embedded(browser, session) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 800 });
  await page.goto(`${world.embedder.origin}/`);
  const run = (act, argument) => page.evaluate(`(async () => (${act})(document.querySelector('#bbx'), ${JSON.stringify(argument)}))()`);
  await page.evaluate((link) => embed('bbx', { 'login-link': link, height: '700', 'interaction-mode': 'full' }), session.login_url);
  assert.equal(await run((element) => element.whenReady({ timeoutMs: 30_000 })), true);
  assert.equal((await run((element, url) => element.navigateTo(url), world.site('form'))).ok, true);
  return { page, run };
}

/** The remote page's colour is in the picture. */
async function painted(page, session) {
  const frame = await eventually(() => page.frames().find((each) => each.url().includes(`/s/${session.id}/`)), 'the frame');
  const look = () => {
    const canvas = document.querySelector('#picture');
    return canvas?.width > 300 && canvas.getContext('2d').getImageData(8, 8, 1, 1).data[1] > 90;
  };
  await eventually(() => frame.evaluate(look), 'a green picture');
  return frame;
}

behaviour('Firefox has the element too', ['whenReady', 'navigateTo', 'type', 'click', 'evaluate', 'event did-navigate', 'event sos'], async () => {
  const session = await world.claim();
  const { page, run } = await embedded(world.eyes, session);
  await run((element) => element.type('#name', 'Ada'));
  await run((element) => element.click('#send'));
  assert.equal(await run((element) => element.evaluate('result.textContent')), 'Sent Ada');
  assert.match(await run((element) => element.capture.frame()), /^data:image\//);
  const names = await page.evaluate(() => log.map(({ name }) => name));
  assert.ok(names.includes('did-navigate') && names.includes('page.navigated'));
  await painted(page, session);
  await world.release(session);
  await eventually(() => page.evaluate(() => log.some(({ name }) => name === 'sos')), 'the end');
  await page.close();
});

behaviour('a browser that blocks every cookie logs in and sees', ['login without any cookies'], async () => {
  const session = await world.claim();
  const strict = await launch(NO_COOKIES);
  try {
    const { page, run } = await embedded(strict, session);
    const frame = await painted(page, session);
    assert.equal(await frame.evaluate(() => navigator.cookieEnabled), false);
    await run((element) => element.refresh());
    await run((element) => element.whenReady({ timeoutMs: 30_000 }));
    assert.equal(await run((element) => element.page.title()), 'A form');
    await painted(page, session);
  } finally {
    await strict.close();
    await world.release(session);
  }
});
