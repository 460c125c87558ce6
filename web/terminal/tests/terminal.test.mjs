// The built page in a real Chromium against a whole server, new for each test. A complaint of the page or of its content policy
// fails the test.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from './server.mjs';

const HELD_MS = 15_000;
let browser;
let server;
let context;
let page;
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

async function load(options = {}) {
  context = await browser.newContext({ viewport: { width: 1000, height: 640 }, ...options });
  context.setDefaultTimeout(HELD_MS);
  page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // A refused handshake or request is reported by the browser itself, and is what some tests are about.
    if (message.type() === 'error' && !/WebSocket connection|Failed to load resource/.test(message.text()))
      complaints.push(message.text());
  });
  await page.goto(server.page);
}

/** Loads the page and waits until its terminal is open. */
async function open(options) {
  await load(options);
  await server.connected(1);
  await status('');
}

const shown = async () => (await page.locator('.xterm-rows').innerText()).replaceAll('\u00a0', ' ');
const shows = (text) => server.until(`the screen shows ${text}`, async () => (await shown()).includes(text));
const status = (text) =>
  server.until(`the status says ${text}`, async () => (await page.locator('#status').innerText()) === text);

test('what is printed is shown, what is typed arrives, letters may come in pieces', async () => {
  await open();
  const text = Buffer.from('Grüße, 世界 🎉 $ ');
  for (const byte of text) server.print(1, Buffer.from([byte]));
  await shows('Grüße, 世界 🎉 $');
  await page.keyboard.type('echo hé');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Control+c');
  await page.keyboard.press('ArrowUp');
  await server.until('the keys arrived', () => server.typed === 'echo hé\r\x03\x1b[A');
});

test('the token leaves the address bar and still works after a reload, on the same terminal', async () => {
  await open();
  assert.equal(new URL(page.url()).hash, '');
  server.print(1, 'before the reload\r\n\x1b[6n');
  await shows('before the reload');
  await server.until('the question for the cursor was answered', () => /\x1b\[2;1R/.test(server.typed));
  server.typed = '';
  await page.reload();
  await shows('before the reload');
  assert.equal(server.terminals.size, 1);
  // What was asked before the reload is not answered again, as if somebody had typed the answer.
  server.print(1, 'ready ');
  await shows('ready');
  await page.keyboard.type('x');
  await server.until('the key arrived', () => server.typed !== '');
  assert.equal(server.typed, 'x');
});

test('the size of the window is told, first and whenever it changes', async () => {
  await open();
  const [{ type, cols, rows }] = server.sizes;
  assert.equal(type, 'opened');
  assert.ok(cols > 80 && rows > 20, `${cols}x${rows}`);
  await page.setViewportSize({ width: 500, height: 400 });
  await server.until('a smaller size', () => server.sizes.some((size) => size.type === 'resize' && size.cols < cols && size.rows < rows));
  const count = server.sizes.length;
  await page.getByRole('button', { name: 'Larger text' }).click();
  await server.until('a size after larger text', () => server.sizes.length > count);
});

test('a lost connection is made again where the output was left', async () => {
  await open();
  server.print(1, 'one ');
  await shows('one');
  server.hangUp();
  server.print(1, 'two ');
  await shows('one two');
  assert.deepEqual(server.offsets, [0, 4]);
  // More was printed meanwhile than is remembered: the screen begins anew with what there is.
  server.hangUp();
  server.print(1, 'lost three');
  server.terminals.get(1).from = 13;
  await shows('three');
  assert.ok(!(await shown()).includes('one'));
  await page.keyboard.type('y');
  await server.until('the key arrived', () => server.typed === 'y');
});

test('the end of the program is said with its code, and another terminal is one key away', async () => {
  await open();
  server.print(1, 'bye\r\n');
  server.exit(1, 7);
  await status('The program ended with 7.');
  assert.ok((await shown()).includes('bye'));
  await page.keyboard.press('Enter');
  await server.connected(2);
  await status('');
  assert.ok(!(await shown()).includes('bye'));
});

test('a link that expired, or whose sandbox is over, says so and asks no more', async () => {
  for (const [refusal, sentence] of [
    [401, 'This link has expired or was taken back. Ask for a new one.'],
    [409, 'This sandbox is over.'],
  ]) {
    server.refusal = refusal;
    await load();
    await status(sentence);
    await context.close();
  }
  server.refusal = null;
  await open();
  server.close(1, 4001, 'max_duration');
  await status('The terminal was closed: max_duration.');
});

test('a paused sandbox is waited for', async () => {
  Object.assign(server, { refusal: 409, status: 'paused' });
  await load();
  await status('This sandbox is paused; the terminal goes on when it is resumed.');
  server.refusal = null;
  await server.connected(1);
  await status('');
});

test('colours, full-screen programs and titles work; what is printed never becomes markup', async () => {
  await open();
  server.print(1, '\x1b]0;<b>my title</b>\x07\x1b[31mred\x1b[0m <img src=x onerror=alert(1)>\r\n');
  await shows('red <img src=x onerror=alert(1)>');
  await server.until('the title', async () => (await page.title()) === '<b>my title</b> – Vitrine');
  assert.equal(await page.locator('.xterm-rows img, h1 b').count(), 0);
  const colour = await page.locator('.xterm-rows span', { hasText: 'red' }).first().evaluate((span) => getComputedStyle(span).color);
  const [red, green, blue] = colour.match(/\d+/g).map(Number);
  assert.ok(red > green + 60 && red > blue + 60, colour);
  server.print(1, '\x1b[?1049h\x1b[2J\x1b[5;10Hfull screen');
  await shows('full screen');
  assert.ok(!(await shown()).includes('red'));
  server.print(1, '\x1b[?1049l');
  await shows('red');
});

test('copy and paste, by keys and by buttons', async () => {
  await open({ permissions: ['clipboard-read', 'clipboard-write'] });
  server.print(1, 'copyme');
  await shows('copyme');
  await page.locator('.xterm-rows span', { hasText: 'copyme' }).first().dblclick({ force: true });
  await page.keyboard.press('Control+Shift+C');
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await server.until('the selection is in the clipboard', async () => (await copied()) === 'copyme');
  await page.getByRole('button', { name: 'Paste' }).click();
  await server.until('the clipboard was typed', () => server.typed === 'copyme');
  // A program may not take the clipboard.
  server.print(1, `\x1b]52;c;${Buffer.from('stolen').toString('base64')}\x07\x1b]52;c;?\x07done`);
  await shows('done');
  assert.equal(await copied(), 'copyme');
  assert.equal(server.typed, 'copyme');
});

test('a flood of output neither hangs the page nor fills its memory', async () => {
  await open();
  for (let round = 0; round < 60; round += 1) server.print(1, 'x'.repeat(79).concat('\r\n').repeat(4000));
  server.terminals.get(1).from = server.terminals.get(1).output.length - 1024 * 1024;
  server.print(1, '\r\nthe end');
  await shows('the end');
  await page.keyboard.type('z');
  await server.until('the key arrived', () => server.typed === 'z');
});

test('dark and light follow the system, and the output can be read aloud', async () => {
  await open({ colorScheme: 'dark' });
  const ground = () => page.locator('body').evaluate((body) => getComputedStyle(body.ownerDocument.documentElement).backgroundColor);
  const dark = await ground();
  await page.emulateMedia({ colorScheme: 'light' });
  assert.notEqual(await ground(), dark);
  const reader = page.getByRole('button', { name: 'Screen reader' });
  await reader.click();
  assert.equal(await reader.getAttribute('aria-pressed'), 'true');
  server.print(1, 'spoken words');
  await server.until('the words are in the accessible tree', async () =>
    (await page.locator('.xterm-accessibility').innerText()).includes('spoken words'),
  );
});
