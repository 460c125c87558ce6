// Unchanged Playwright and Puppeteer through cdpUrl: what their users do every day must work as on a browser of their own.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';
import { startServer } from './server.mjs';

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);
const READY_MS = 25_000;

let server;
before(async () => (server = await startServer({ VITRINE_RATE_LIMITS: '*=600000/10000' })));
after(() => server?.stop());

/** A new session that is ready. */
async function session(body = {}) {
  const { id } = await api('POST', '', body);
  const ready = await api('GET', `?id=${id}&waitMs=${READY_MS}`);
  assert.equal(ready.status, 'ready');
  return ready;
}

async function api(method, query, body) {
  const answer = await fetch(`${server.base}/v1/browsers${query}`, {
    method,
    headers: { Authorization: `Bearer ${server.key}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${answer.status} ${method} ${query}`);
  return answer.json();
}

/** The HTTP address of a session, from which clients discover its WebSocket. */
function discovery({ cdpUrl }) {
  return cdpUrl.replace(/^ws/, 'http');
}

test('Playwright: contexts, routes, functions and pictures', async () => {
  const { id, cdpUrl } = await session();
  const browser = await chromium.connectOverCDP(cdpUrl);
  const [one, two] = [await browser.newContext(), await browser.newContext({ viewport: { width: 640, height: 480 } })];
  const [first, second] = [await one.newPage(), await two.newPage()];
  await first.goto(server.page);
  await first.evaluate(() => localStorage.setItem('mine', 'yes'));
  await second.goto(server.page);
  assert.equal(await second.evaluate(() => localStorage.getItem('mine')), null, 'contexts are apart');
  assert.equal(await second.evaluate(() => innerWidth), 640);
  await first.route('**/answered', (route) => route.fulfill({ body: 'by the client' }));
  assert.equal(await first.evaluate(() => fetch('/answered').then((answer) => answer.text())), 'by the client');
  await first.exposeFunction('twice', (number) => number * 2);
  assert.equal(await first.evaluate(() => globalThis.twice(21)), 42);
  await first.setContent('<input aria-label="Name"><button onclick="document.title = document.querySelector(`input`).value">Go');
  await first.getByLabel('Name').fill('typed');
  await first.getByRole('button', { name: 'Go' }).click();
  assert.equal(await first.title(), 'typed');
  assert.deepEqual((await first.screenshot({ fullPage: true })).subarray(0, 4), PNG);
  await browser.close();
  assert.match((await api('GET', `?id=${id}`)).status, /^(active|ready)$/, 'leaving is not ending');
  await api('DELETE', `?id=${id}`);
});

test('Playwright finds the WebSocket from the HTTP address, with the token or with the key', async () => {
  const created = await session();
  const byToken = await chromium.connectOverCDP(discovery(created));
  assert.equal(byToken.contexts().length, 1);
  await byToken.close();
  const headers = { Authorization: `Bearer ${server.key}` };
  const byKey = await chromium.connectOverCDP(`${server.base}/cdp/${created.id}`, { headers });
  await (await byKey.contexts()[0].newPage()).goto(server.page);
  await byKey.close();
  await api('DELETE', `?id=${created.id}`);
});

test('Puppeteer: interception, pictures, two clients at once', async () => {
  const { id, cdpUrl } = await session();
  const [one, two] = await Promise.all([1, 2].map(() => puppeteer.connect({ browserWSEndpoint: cdpUrl })));
  const page = await one.newPage();
  await page.setRequestInterception(true);
  page.on('request', (request) =>
    request.url().endsWith('/answered') ? request.respond({ body: 'by the client' }) : request.continue(),
  );
  await page.goto(server.page);
  assert.equal(await page.evaluate(() => fetch('/answered').then((answer) => answer.text())), 'by the client');
  assert.deepEqual(Buffer.from(await page.screenshot()).subarray(0, 4), PNG);
  const seen = await two.pages();
  assert.ok(seen.some((other) => other.url() === server.page), 'the second client sees the first one’s page');
  await one.disconnect();
  const [again] = (await two.pages()).filter((other) => other.url() === server.page);
  assert.equal(await again.title(), 'A page of the tests');
  await two.disconnect();
  await api('DELETE', `?id=${id}`);
});

test('a client that is cut off learns why', async () => {
  const { id, cdpUrl } = await session();
  const browser = await puppeteer.connect({ browserWSEndpoint: cdpUrl });
  const left = new Promise((resolve) => browser.once('disconnected', resolve));
  await api('DELETE', `?id=${id}`);
  await left;
  const ended = await api('GET', `?id=${id}`);
  assert.equal(ended.endReason, 'deleted');
  await assert.rejects(puppeteer.connect({ browserWSEndpoint: cdpUrl }), 'the token opens nothing any more');
});

test('large pages and large answers pass whole', async () => {
  const { id, cdpUrl } = await session({ weight: 'medium' });
  const browser = await chromium.connectOverCDP(cdpUrl);
  const page = await browser.contexts()[0].newPage();
  const bytes = 20 * 1024 * 1024;
  assert.equal((await page.evaluate((size) => 'x'.repeat(size), bytes)).length, bytes);
  assert.equal(await page.evaluate((text) => text.length, 'y'.repeat(bytes)), bytes);
  await browser.close();
  await api('DELETE', `?id=${id}`);
});
