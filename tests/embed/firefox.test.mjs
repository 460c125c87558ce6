// The element in Firefox, by WebDriver BiDi: ready, drives, paints, ends.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import puppeteer from 'puppeteer-core';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

let world;
before(async () => {
  world = await startWorld({}, { browser: () => puppeteer.launch({ browser: 'firefox', executablePath: FIREFOX, headless: true }) });
});
after(() => world?.stop());

behaviour('Firefox has the element too', ['whenReady', 'navigateTo', 'type', 'click', 'evaluate', 'event did-navigate', 'event sos'], async () => {
  const session = await world.claim();
  const page = await world.eyes.newPage();
  await page.setViewport({ width: 1280, height: 800 });
  await page.goto(`${world.embedder.origin}/`);
  const run = (act, argument) => page.evaluate(`(async () => (${act})(document.querySelector('#bbx'), ${JSON.stringify(argument)}))()`);
  await page.evaluate((link) => embed('bbx', { 'login-link': link, height: '700', 'interaction-mode': 'full' }), session.login_url);
  assert.equal(await run((element) => element.whenReady({ timeoutMs: 30_000 })), true);
  assert.equal((await run((element, url) => element.navigateTo(url), world.site('form'))).ok, true);
  await run((element) => element.type('#name', 'Ada'));
  await run((element) => element.click('#send'));
  assert.equal(await run((element) => element.evaluate('result.textContent')), 'Sent Ada');
  assert.match(await run((element) => element.capture.frame()), /^data:image\//);
  const names = await page.evaluate(() => log.map(({ name }) => name));
  assert.ok(names.includes('did-navigate') && names.includes('page.navigated'));
  await eventually(async () => (await run((element) => element.getTransportDiagnostics())).fps !== undefined, 'diagnostics');
  const frame = await eventually(() => page.frames().find((each) => each.url().includes(`/s/${session.id}/`)), 'the frame');
  await eventually(
    () => frame.evaluate(() => {
      const canvas = document.querySelector('#picture');
      return canvas?.width > 300 && canvas.getContext('2d').getImageData(8, 8, 1, 1).data[1] > 90;
    }),
    'a green picture',
  );
  await world.release(session);
  await eventually(() => page.evaluate(() => log.some(({ name }) => name === 'sos')), 'the end');
});
