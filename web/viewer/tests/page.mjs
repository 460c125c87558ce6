// The built page in a real Chromium against a whole server, new for each test of the file that imports this. A complaint of the
// page or of its content policy fails the test.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from './server.mjs';

/** For anything to happen, on a busy machine. */
const HELD_MS = 15_000;
export let server;
export let context;
export let page;
let browser;
let complaints;

before(async () => {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
});
after(() => browser?.close());
beforeEach(async () => {
  server = await Server.start();
  complaints = [];
});
afterEach(async () => {
  await context?.close();
  await server.stop();
  assert.deepEqual(complaints, [], 'the page or its content policy complained');
});

/** `prepare` does something to the page before it is loaded. */
export async function load({ script, prepare, address = server.page, ...options } = {}) {
  context = await browser.newContext({ viewport: { width: 1000, height: 640 }, ...options });
  context.setDefaultTimeout(HELD_MS);
  page = await context.newPage();
  if (script) await page.addInitScript(script);
  await prepare?.(page);
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // A refused handshake or request is reported by the browser itself, and is what some tests are about.
    if (message.type() === 'error' && !/WebSocket connection|Failed to load resource/.test(message.text()))
      complaints.push(message.text());
  });
  await page.goto(address);
}

/** Loads the page and waits until it has said `start`, which is returned. */
export async function open(options) {
  await load(options);
  return server.take('start');
}

/** Where a point of the session's page (640x360) is on the screen. */
export async function at(x, y) {
  const box = await page.locator('#surface').boundingBox();
  return [box.x + (x / 640) * box.width, box.y + (y / 360) * box.height];
}

export async function click(x, y, options) {
  await page.mouse.click(...(await at(x, y)), options);
}
