// The built page in a real Chromium against a whole server: what a person sees, and what the server is told.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { chromium } from 'playwright-core';
import { colours, picture, Server, tab, TOKEN } from './server.mjs';

const HELD_MS = 15_000;
const CONTROL = 2;

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

async function load({ script, ...options } = {}) {
  context = await browser.newContext({ viewport: { width: 1000, height: 640 }, ...options });
  context.setDefaultTimeout(HELD_MS);
  page = await context.newPage();
  if (script) await page.addInitScript(script);
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // A refused handshake or request is reported by the browser itself, and is what some tests are about.
    if (message.type() === 'error' && !/WebSocket connection|Failed to load resource/.test(message.text()))
      complaints.push(message.text());
  });
  await page.goto(server.page);
}

/** Loads the page and waits until it has said `start`, which is returned. */
async function open(options) {
  await load(options);
  return server.take('start');
}

async function shown(colour) {
  await page.waitForFunction(
    ([red, green, blue]) => {
      const canvas = document.querySelector('#picture');
      const at = canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
      return [red, green, blue].every((value, index) => Math.abs(value - at[index]) < 40);
    },
    colour,
    { timeout: HELD_MS },
  );
}

/** Where a point of the session's page (640x360) is on the screen. */
async function at(x, y) {
  const box = await page.locator('#surface').boundingBox();
  return [box.x + (x / 640) * box.width, box.y + (y / 360) * box.height];
}

async function click(x, y, options) {
  await page.mouse.click(...(await at(x, y)), options);
}

function near(message, x, y) {
  assert.ok(Math.abs(message.x - x) < 2 && Math.abs(message.y - y) < 2, JSON.stringify(message));
}

async function jpeg(colour) {
  const other = await context.newPage();
  await other.setContent(`<body style="background:${colour}">`);
  const data = await other.screenshot({ type: 'jpeg' });
  await other.close();
  return data;
}

const RED = [255, 0, 0];
const LIME = [0, 255, 0];
const BLUE = [0, 0, 255];

test('H.264 is decoded, painted and acknowledged; the token leaves the address bar and survives a reload', async () => {
  const start = await open();
  assert.deepEqual(start.codings, ['h264', 'jpeg']);
  assert.ok(start.width > 0 && start.height > 0 && start.scale > 0);
  const units = await colours();
  for (const [index, colour] of [RED, LIME, BLUE].entries()) {
    server.send(picture({ coding: 'h264', key: index === 0, sequence: index + 1, data: units[index] }));
    await shown(colour);
    assert.equal((await server.take('ack')).sequence, index + 1);
  }
  assert.ok(!page.url().includes(TOKEN));
  assert.equal(
    await page
      .locator('#rate')
      .textContent()
      .then((text) => /\d+ fps/.test(text)),
    true,
  );
  await page.reload();
  await server.take('start');
});

test('pictures before a key picture are given up, acknowledged and not shown', async () => {
  await open();
  const [key, delta] = await colours();
  server.send(picture({ coding: 'h264', key: false, sequence: 1, data: delta }));
  assert.equal((await server.take('ack')).sequence, 1);
  server.send(picture({ coding: 'h264', sequence: 2, data: key }));
  await shown(RED);
});

test('a broken stream is asked for anew, and given up for JPEG', async () => {
  await open();
  const [key] = await colours();
  const broken = Buffer.concat([key.subarray(0, 40), Buffer.alloc(400, 0xff)]);
  server.send(picture({ coding: 'h264', sequence: 1, data: broken }));
  await server.take('refresh');
  for (const sequence of [2, 3]) {
    server.send(picture({ coding: 'h264', sequence, data: broken }));
    await server.take('ack', (ack) => ack.sequence === sequence);
  }
  assert.equal((await server.take('coding')).coding, 'jpeg');
  server.send(picture({ coding: 'jpeg', sequence: 4, data: await jpeg('#00f') }));
  await shown(BLUE);
});

test('a decoder that keeps its pictures is given up too', async () => {
  await open({ script: () => (VideoDecoder.prototype.decode = () => {}) });
  const [key] = await colours();
  for (const sequence of [1, 2, 3]) {
    server.send(picture({ coding: 'h264', sequence, data: key }));
    await server.take('ack', (ack) => ack.sequence === sequence);
  }
  assert.equal((await server.take('coding')).coding, 'jpeg');
});

test('a browser without WebCodecs takes JPEG', async () => {
  const start = await open({ script: () => delete globalThis.VideoDecoder });
  assert.deepEqual(start.codings, ['jpeg']);
  const blue = await jpeg('#00f');
  server.send(picture({ coding: 'jpeg', sequence: 1, data: Buffer.from('no picture') }));
  for (const sequence of [2, 3, 4]) server.send(picture({ coding: 'jpeg', sequence, data: blue }));
  await shown(BLUE);
  for (const sequence of [1, 2, 3, 4]) await server.take('ack', (ack) => ack.sequence === sequence);
});

test('mouse and wheel arrive in the pixels of the page', async () => {
  await open();
  await page.mouse.move(...(await at(100, 50)));
  near(await server.take('mouse', ({ kind }) => kind === 'move'), 100, 50);
  await click(200, 120, { clickCount: 2 });
  const presses = [];
  for (const kind of ['down', 'up', 'down', 'up'])
    presses.push(await server.take('mouse', (message) => message.kind === kind));
  assert.deepEqual(
    presses.map(({ clicks }) => clicks),
    [1, 1, 2, 2],
  );
  assert.deepEqual(
    presses.map(({ buttons }) => buttons),
    [1, 0, 1, 0],
  );
  for (const press of presses) near(press, 200, 120);
  await click(10, 10, { button: 'right' });
  assert.equal((await server.take('mouse', ({ kind }) => kind === 'down')).button, 'right');
  await page.keyboard.down('Shift');
  await click(10, 10, { button: 'middle' });
  await page.keyboard.up('Shift');
  const middle = await server.take('mouse', ({ button, kind }) => button === 'middle' && kind === 'down');
  assert.deepEqual([middle.buttons, middle.modifiers], [4, 8]);
  await page.mouse.wheel(0, 120);
  const wheel = await server.take('wheel');
  assert.deepEqual([wheel.dx, wheel.dy], [0, 120]);
});

test('a drag that leaves the picture goes on and ends', async () => {
  await open();
  await page.mouse.move(...(await at(600, 300)));
  await page.mouse.down();
  await page.mouse.move(500, 5);
  const out = await server.take('mouse', ({ kind, y }) => kind === 'move' && y < 0);
  assert.deepEqual([out.button, out.buttons], ['left', 1]);
  await page.mouse.up();
  assert.ok((await server.take('mouse', ({ kind }) => kind === 'up')).y < 0);
});

test('fingers arrive with the points that are down', async () => {
  await open({ hasTouch: true });
  const cdp = await context.newCDPSession(page);
  const touch = async (type, ...points) => {
    const touchPoints = [];
    for (const [id, x, y] of points) {
      const [left, top] = await at(x, y);
      touchPoints.push({ id, x: left, y: top });
    }
    await cdp.send('Input.dispatchTouchEvent', { type, touchPoints });
  };
  await touch('touchStart', [0, 100, 100]);
  const start = await server.take('touch');
  assert.equal(start.kind, 'start');
  near(start.points[0], 100, 100);
  await touch('touchStart', [0, 100, 100], [1, 200, 200]);
  assert.equal((await server.take('touch', ({ kind }) => kind === 'start')).points.length, 2);
  await touch('touchMove', [0, 120, 100], [1, 200, 220]);
  // Chromium may tell of the fingers one after the other.
  await server.take('touch', ({ kind, points }) => kind === 'move' && points[0].x > 115 && points[1].y > 215);
  await touch('touchEnd');
  assert.deepEqual((await server.take('touch', ({ kind }) => kind === 'end')).points, []);
  assert.equal(server.messages.filter(({ type }) => type === 'mouse').length, 0, 'a finger is not a mouse as well');
});

test('keys carry what the layout types', async () => {
  await open();
  await click(10, 10);
  await page.keyboard.press('a');
  const down = await server.take('key', ({ kind }) => kind === 'down');
  assert.deepEqual(down, {
    type: 'key',
    kind: 'down',
    key: 'a',
    code: 'KeyA',
    location: 0,
    modifiers: 0,
    repeat: false,
    text: 'a',
  });
  assert.equal((await server.take('key', ({ kind }) => kind === 'up')).text, undefined);
  await page.keyboard.press('Enter');
  assert.equal((await server.take('key', ({ key, kind }) => key === 'Enter' && kind === 'down')).text, '\r');
  await page.keyboard.press('Control+b');
  const shortcut = await server.take('key', ({ key }) => key === 'b');
  assert.deepEqual([shortcut.text, shortcut.modifiers], [undefined, CONTROL]);
  await page.keyboard.press('Tab');
  await server.take('key', ({ key }) => key === 'Tab');
  const cdp = await context.newCDPSession(page);
  // A German keyboard: Y where others have Z, and the at sign on AltGr+Q, which Windows reports as Control and Alt.
  const key = (type, more) => cdp.send('Input.dispatchKeyEvent', { type, ...more });
  await key('keyDown', { key: 'y', code: 'KeyZ', text: 'y', windowsVirtualKeyCode: 89 });
  assert.deepEqual(await server.take('key', ({ code }) => code === 'KeyZ').then(({ key, text }) => [key, text]), [
    'y',
    'y',
  ]);
  await page.evaluate(() => {
    const at = {
      key: '@',
      code: 'KeyQ',
      ctrlKey: true,
      altKey: true,
      modifierAltGraph: true,
      bubbles: true,
      cancelable: true,
    };
    document.activeElement.dispatchEvent(new KeyboardEvent('keydown', at));
  });
  const third = await server.take('key', ({ code }) => code === 'KeyQ');
  assert.deepEqual([third.text, third.modifiers], ['@', 0]);
});

test('on a Mac, Command is Control but for the caret, and Option types', async () => {
  await open({ script: () => Object.defineProperty(Navigator.prototype, 'platform', { get: () => 'MacIntel' }) });
  await click(10, 10);
  const press = async (keys) => {
    await page.keyboard.press(keys);
    const key = keys.split('+').at(-1);
    return server.take('key', (message) => message.kind === 'down' && message.key === key);
  };
  const all = await press('Meta+a');
  assert.deepEqual([all.modifiers, all.text], [CONTROL, undefined]);
  assert.equal((await press('Meta+ArrowLeft')).modifiers, 4);
  assert.equal((await press('Alt+ArrowLeft')).modifiers, 1);
  await page.keyboard.press('Meta+[');
  await server.take('back');
  await page.evaluate(() => {
    const option = { key: 'ß', code: 'KeyS', altKey: true, bubbles: true, cancelable: true };
    document.activeElement.dispatchEvent(new KeyboardEvent('keydown', option));
  });
  const sharp = await server.take('key', ({ code, kind }) => code === 'KeyS' && kind === 'down');
  assert.deepEqual([sharp.text, sharp.modifiers], ['ß', 0]);
  await page.keyboard.down('Meta');
  await page.keyboard.down('b');
  await server.take('key', ({ key, kind }) => key === 'b' && kind === 'up');
});

test('a dead key and what it makes arrive as the text field has it', async () => {
  await open();
  await click(10, 10);
  const cdp = await context.newCDPSession(page);
  await cdp.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Dead', code: 'Equal' });
  await cdp.send('Input.dispatchKeyEvent', { type: 'keyDown', key: 'e', code: 'KeyE', text: 'é', unmodifiedText: 'e' });
  assert.equal((await server.take('insert')).text, 'é');
  assert.equal(server.messages.filter(({ type, text }) => type === 'key' && text).length, 0, 'typed once');
});

test('keys that are down come up when the page loses the keyboard', async () => {
  await open();
  await click(10, 10);
  await page.keyboard.down('Shift');
  await page.evaluate(() => document.activeElement.blur());
  assert.equal((await server.take('key', ({ kind }) => kind === 'up')).key, 'Shift');
});

test('a composition is shown in the page while it is made, where its caret is', async () => {
  await open();
  server.send({ type: 'focus', editable: true, x: 320, y: 180, width: 2, height: 20 });
  await click(320, 180);
  await page.waitForFunction(() => document.querySelector('#keys').inputMode === 'text');
  const [left, top] = await at(320, 180);
  const field = await page.locator('#keys').boundingBox();
  assert.ok(Math.abs(field.x - left) < 2 && Math.abs(field.y - top) < 2, 'an input method opens its window there');
  const cdp = await context.newCDPSession(page);
  const compose = (text) =>
    cdp.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
  await compose('に');
  assert.deepEqual(await server.take('compose'), { type: 'compose', text: 'に', from: 1, to: 1 });
  await compose('にほん');
  assert.deepEqual(await server.take('compose'), { type: 'compose', text: 'にほん', from: 3, to: 3 });
  await cdp.send('Input.insertText', { text: '日本' });
  assert.equal((await server.take('insert')).text, '日本');
  await compose('ご');
  await server.take('compose', ({ text }) => text === 'ご');
  await compose('');
  assert.deepEqual(await server.take('compose', ({ text }) => text === ''), {
    type: 'compose',
    text: '',
    from: 0,
    to: 0,
  });
});

test('what soft keyboards do arrives as text and keys', async () => {
  await open();
  await click(10, 10);
  await page.keyboard.insertText('word ');
  assert.equal((await server.take('insert')).text, 'word ');
  await page.evaluate(() => {
    const asked = new InputEvent('beforeinput', {
      inputType: 'deleteContentBackward',
      bubbles: true,
      cancelable: true,
    });
    document.activeElement.dispatchEvent(asked);
  });
  assert.equal((await server.take('key', ({ kind }) => kind === 'down')).key, 'Backspace');
  assert.notEqual(await page.locator('#keys').inputValue(), '', 'there is always something to delete');
});

test('clipboard: text, HTML and pictures go in, and what the page copies comes out', async () => {
  await open({ permissions: ['clipboard-read', 'clipboard-write'] });
  await click(10, 10);
  await page.evaluate(async () => {
    const parts = {
      'text/plain': new Blob(['plain'], { type: 'text/plain' }),
      'text/html': new Blob(['<b>bold</b>'], { type: 'text/html' }),
    };
    await navigator.clipboard.write([new ClipboardItem(parts)]);
  });
  await page.keyboard.press('Control+v');
  const paste = await server.take('paste');
  assert.equal(paste.text, 'plain');
  assert.match(paste.html, /<b>bold<\/b>|<b .*>bold<\/b>/);
  const png = await page.screenshot({ clip: { x: 0, y: 0, width: 4, height: 4 } });
  await page.evaluate(async (base64) => {
    const blob = await (await fetch(`data:image/png;base64,${base64}`).catch(() => null))?.blob();
    const bytes =
      blob ?? new Blob([Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0))], { type: 'image/png' });
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': bytes })]);
  }, png.toString('base64'));
  complaints = complaints.filter((text) => !text.includes('data:image/png'));
  await page.keyboard.press('Control+v');
  assert.match((await server.take('paste')).image, /^iVBORw0KGgo/);

  await page.keyboard.press('Control+x');
  assert.equal((await server.take('copy')).cut, true);
  await page.keyboard.press('Control+c');
  assert.equal((await server.take('copy')).cut, false);
  server.send({ type: 'clipboard', text: 'from the page', html: '<i>from the page</i>' });
  await page.waitForFunction(async () => (await navigator.clipboard.readText()) === 'from the page');
});

test('the clipboard by buttons, for hands without a keyboard', async () => {
  await open({ permissions: ['clipboard-read', 'clipboard-write'] });
  await page.evaluate(() => navigator.clipboard.writeText('mine'));
  await page.getByRole('button', { name: 'View options' }).click();
  await page.getByRole('button', { name: 'Paste' }).click();
  assert.equal((await server.take('paste')).text, 'mine');
  await page.getByRole('button', { name: 'Copy' }).click();
  await server.take('copy');
  server.send({ type: 'clipboard', text: 'theirs' });
  await page.waitForFunction(async () => (await navigator.clipboard.readText()) === 'theirs');
});

test('a page that copies unasked does not reach the clipboard before a person takes it', async () => {
  await open({ permissions: ['clipboard-read', 'clipboard-write'] });
  await page.evaluate(() => navigator.clipboard.writeText('mine'));
  server.send({ type: 'clipboard', text: 'theirs' });
  const take = page.getByRole('button', { name: 'Take it' });
  await take.waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'mine');
  await take.click();
  await page.waitForFunction(async () => (await navigator.clipboard.readText()) === 'theirs');
});

test('tabs are shown, switched and closed, by mouse and by keyboard', async () => {
  server.greeting.tabs = [
    tab(),
    tab({ id: 'T2', title: '<b>Second</b>', loading: true }),
    tab({ id: 'T3', title: '', url: 'about:blank', crashed: true }),
  ];
  await open();
  const tabs = page.getByRole('tab');
  await page.getByRole('tab', { name: 'First page', selected: true }).waitFor();
  assert.deepEqual(await tabs.allTextContents(), ['First page', '<b>Second</b>', 'about:blank (stopped working)']);
  await tabs.nth(1).click();
  assert.equal((await server.take('activate')).tab, 'T2');
  await tabs.first().focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  assert.equal((await server.take('activate')).tab, 'T3');
  await tabs.nth(2).focus();
  await page.keyboard.press('Delete');
  assert.equal((await server.take('closeTab')).tab, 'T3');
  await page.getByTitle('Close First page').click();
  assert.equal((await server.take('closeTab')).tab, 'T1');
  await page.getByRole('button', { name: 'New tab' }).click();
  await server.take('newTab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'address', 'ready for where to go');
  server.send({ type: 'tabs', active: 'T2', tabs: [tab({ id: 'T2', title: 'Alone' })] });
  await page.getByRole('tab', { name: 'Alone', selected: true }).waitFor();
  assert.equal(await tabs.count(), 1);
  assert.equal(await page.title(), 'Alone – Vitrine');
});

test('a page that stopped working can be reloaded', async () => {
  await open();
  server.send({ type: 'tabs', active: 'T1', tabs: [tab({ crashed: true })] });
  await page.getByText('This page stopped working.').waitFor();
  await page.locator('#notice').getByRole('button', { name: 'Reload' }).click();
  await server.take('reload');
  server.send({ type: 'tabs', active: 'T1', tabs: [tab()] });
  await page.locator('#notice').waitFor({ state: 'hidden' });
});

test('what is said twice is shown once', async () => {
  await open();
  for (const about of ['mouse', 'mouse', 'wheel'])
    server.send({ type: 'error', about, message: 'the page does not answer' });
  server.send({ type: 'error', about: 'navigate', message: 'that address cannot be opened' });
  await page.getByText('that address cannot be opened').waitFor();
  assert.equal(await page.getByText('the page does not answer').count(), 1);
});

test('the address field, back, forward, reload and stop', async () => {
  await open();
  const field = page.getByRole('textbox', { name: 'Address of the page' });
  assert.equal(await field.inputValue(), 'https://example.com/first');
  await page.getByRole('button', { name: 'Back' }).click();
  await server.take('back');
  assert.ok(await page.getByRole('button', { name: 'Forward' }).isDisabled());
  await page.getByRole('button', { name: 'Reload' }).click();
  assert.equal((await server.take('reload')).hard, false);
  await field.fill('localhost:3000/x');
  server.send({ type: 'tabs', active: 'T1', tabs: [tab({ loading: true })] });
  await page.getByRole('button', { name: 'Stop' }).click();
  await server.take('stop');
  await field.fill('localhost:3000/x');
  await field.press('Enter');
  assert.equal((await server.take('navigate')).url, 'http://localhost:3000/x');
  await page.keyboard.press('Control+l');
  assert.equal(await field.evaluate((element) => element === document.activeElement), true);
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'keys');
  await page.keyboard.press('F5');
  await server.take('stop');
});

test('a select list is drawn where it is, and chosen from by mouse and keyboard', async () => {
  await open();
  const option = (label, more = {}) => ({ label, selected: false, disabled: false, ...more });
  const select = { type: 'select', tab: 'T1', x: 64, y: 36, width: 128, height: 20 };
  const options = [
    option('Red', { selected: true }),
    option('Green', { disabled: true }),
    option('Blue', { group: 'More' }),
    option('<i>Black</i>', { group: 'More' }),
  ];
  server.send({ ...select, id: 's1', multiple: false, options });
  const list = page.getByRole('listbox');
  await list.waitFor();
  const box = await list.boundingBox();
  const [left, top] = await at(64, 56);
  assert.ok(Math.abs(box.x - left) < 8 && Math.abs(box.y - top) < 8, 'under the field');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('b');
  await page.keyboard.press('l');
  await page.keyboard.press('Enter');
  assert.deepEqual(await server.take('select'), { type: 'select', id: 's1', indices: [2] });
  assert.equal(await list.count(), 0);
  server.send({ ...select, id: 's2', multiple: false, options });
  await page.getByRole('option', { name: '<i>Black</i>' }).click();
  assert.deepEqual((await server.take('select')).indices, [3]);
  server.send({ ...select, id: 's3', multiple: true, options });
  await page.getByRole('option', { name: 'Blue' }).click();
  await page.getByRole('button', { name: 'Done' }).click();
  assert.deepEqual((await server.take('select')).indices, [0, 2]);
  server.send({ ...select, id: 's4', multiple: false, options });
  await list.waitFor();
  await page.keyboard.press('Escape');
  assert.deepEqual(await server.take('select'), { type: 'select', id: 's4', cancelled: true });
  server.send({ ...select, id: 's5', multiple: false, options });
  await list.waitFor();
  await click(600, 300);
  assert.equal((await server.take('select')).cancelled, true);
  server.send({ ...select, id: 's6', multiple: false, options });
  await list.waitFor();
  server.send({ type: 'selectClosed', id: 's6' });
  await list.waitFor({ state: 'detached' });
  assert.equal(server.messages.filter(({ type }) => type === 'select').length, 0);
});

test('JavaScript dialogs are answered', async () => {
  await open();
  const dialog = { type: 'dialog', tab: 'T1', url: 'https://example.com/x' };
  const card = page.getByRole('alertdialog');
  server.send({ ...dialog, id: 'd1', kind: 'alert', message: '<img src=x> saved' });
  await card.getByText('<img src=x> saved').waitFor();
  await page.keyboard.press('Enter');
  assert.deepEqual(await server.take('dialog'), { type: 'dialog', id: 'd1', accept: true });
  server.send({ ...dialog, id: 'd2', kind: 'confirm', message: 'Sure?' });
  await card.getByRole('button', { name: 'Cancel' }).click();
  assert.equal((await server.take('dialog')).accept, false);
  server.send({ ...dialog, id: 'd3', kind: 'prompt', message: 'Name?', default: 'Ada' });
  await card.getByRole('textbox', { name: 'Name?' }).waitFor();
  await page.keyboard.type('Grace');
  await page.keyboard.press('Enter');
  assert.deepEqual(await server.take('dialog'), { type: 'dialog', id: 'd3', accept: true, text: 'Grace' });
  server.send({ ...dialog, id: 'd4', kind: 'beforeunload', message: '' });
  await card.getByRole('button', { name: 'Stay' }).waitFor();
  await page.keyboard.press('Escape');
  assert.equal((await server.take('dialog')).accept, false);
  server.send({ ...dialog, id: 'd5', kind: 'alert', message: 'gone' });
  await card.waitFor();
  server.send({ type: 'dialogClosed', id: 'd5' });
  await card.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'keys', 'the keyboard is back with the page');
});

test('files for the page are sent, and a refusal is told', async () => {
  await open();
  server.send({ type: 'fileChooser', id: 'f1', tab: 'T1', multiple: true, accept: ['.txt'] });
  const input = page.getByLabel('Files', { exact: true });
  await input.setInputFiles([
    { name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('one') },
    { name: 'b & ü.txt', mimeType: 'text/plain', buffer: Buffer.from('two') },
  ]);
  assert.deepEqual(await server.take('files'), {
    type: 'files',
    id: 'f1',
    paths: ['uploads/a.txt', 'uploads/b & ü.txt'],
  });
  assert.equal(server.files.get('uploads/b & ü.txt').toString(), 'two');
  server.send({ type: 'fileChooser', id: 'f2', tab: 'T1', multiple: false, accept: [] });
  await page
    .getByLabel('File', { exact: true })
    .setInputFiles({ name: 'big', mimeType: 'text/plain', buffer: Buffer.alloc(2000) });
  await page.getByText('the file is larger than 1000 bytes').waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  assert.deepEqual(await server.take('files'), { type: 'files', id: 'f2', cancelled: true });
});

test('downloads are listed and saved, those from before too', async () => {
  server.files.set('downloads/earlier.txt', Buffer.from('earlier'));
  server.files.set('downloads/report.pdf', Buffer.from('the report'));
  await open();
  const download = { type: 'download', id: 'w1', name: 'report.pdf', url: 'https://example.com/report.pdf', size: 10 };
  server.send({ ...download, received: 5, state: 'inProgress' });
  await page.getByRole('button', { name: 'Downloads, 1 new' }).click();
  await page.getByRole('progressbar', { name: 'report.pdf' }).waitFor();
  server.send({ ...download, received: 10, state: 'completed', path: 'downloads/report.pdf' });
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save report.pdf' }).click();
  const file = await saved;
  assert.equal(file.suggestedFilename(), 'report.pdf');
  assert.equal(await readFile(await file.path(), 'utf8'), 'the report');
  await page.getByRole('button', { name: 'Save earlier.txt' }).waitFor();
});

test('permissions are shown and set', async () => {
  await open();
  await page.getByRole('button', { name: 'Permissions' }).click();
  const { origin } = await server.take('permissions');
  assert.equal(origin, 'https://example.com');
  server.send({
    type: 'permissions',
    origin,
    states: [
      { name: 'geolocation', state: 'denied' },
      { name: 'clipboardReadWrite', state: 'prompt' },
    ],
  });
  await page.getByLabel('Geolocation').selectOption('Allow');
  assert.deepEqual(await server.take('permission'), {
    type: 'permission',
    origin,
    name: 'geolocation',
    state: 'granted',
  });
  await page.getByLabel('Clipboard read write').waitFor();
});

test('zoom, the size of the page and of the picture', async () => {
  await open();
  await page.getByRole('button', { name: 'View options' }).click();
  await page.getByRole('button', { name: 'Zoom in' }).click();
  assert.equal((await server.take('zoom')).factor, 1.1);
  server.send({ type: 'viewport', tab: 'T1', width: 640, height: 360, scale: 1, zoom: 1.1 });
  await page.getByText('110%').waitFor();
  await page.getByLabel('Actual size').check();
  assert.equal((await page.locator('#surface').boundingBox()).width, 640);
  await page.getByLabel('Page size').selectOption('Phone, 390 × 844');
  assert.deepEqual(await server.take('resize'), { type: 'resize', width: 390, height: 844 });
  await page.getByLabel('Page size').selectOption('Match this window');
  const stage = await page.locator('#stage').boundingBox();
  assert.equal((await server.take('resize')).width, Math.round(stage.width));
  await page.setViewportSize({ width: 800, height: 600 });
  assert.equal((await server.take('resize')).width, 800);
  await page.getByLabel('Page size').selectOption('As started');
  assert.deepEqual(await server.take('resize'), { type: 'resize', reset: true });
  await page.getByLabel('Compatible picture (JPEG)').check();
  assert.equal((await server.take('coding')).coding, 'jpeg');
});

test('a lost connection comes back by itself, with the last picture kept', async () => {
  await open();
  const units = await colours();
  server.send(picture({ coding: 'h264', sequence: 1, data: units[0] }));
  await shown(RED);
  server.send({ type: 'dialog', id: 'd1', tab: 'T1', kind: 'alert', message: 'from before', url: '' });
  await page.getByText('from before').waitFor();
  server.refusal = 502;
  server.hangUp();
  await page.locator('#notice').getByText('Reconnecting').waitFor();
  await shown(RED);
  server.refusal = null;
  await server.take('start');
  await page.locator('#notice').waitFor({ state: 'hidden' });
  assert.equal(await page.getByText('from before').count(), 0, 'the server tells anew what is open');
  server.send(picture({ coding: 'h264', sequence: 1, data: units[0] }));
  await server.take('ack');
  server.close(1012, 'service_restart');
  await server.take('start');
  assert.equal(server.connections, 3);
});

test('the end of a session is told in a sentence, and nothing connects again', async () => {
  await open();
  server.close(4002, 'idle');
  await page.getByText('because nobody had used it for a while').waitFor();
  await page.waitForTimeout(700);
  assert.equal(server.connections, 1);
});

test('a refused link says so', async () => {
  server.refusal = 401;
  await load();
  await page.getByText('This link has expired').waitFor();
  await page.goto(server.page.replace(/#.*/, ''));
  await page.evaluate(() => sessionStorage.clear());
  await page.reload();
  await page.getByText('This link has no access token').waitFor();
});

test('who may only look sees everything and sends nothing that acts', async () => {
  server.greeting.mode = 'view';
  server.greeting.tabs = [tab(), tab({ id: 'T2', title: 'Second' })];
  await open();
  await page.getByText('View only').waitFor();
  await click(100, 100);
  await page.keyboard.type('x');
  await page.mouse.wheel(0, 10);
  assert.ok(await page.getByRole('button', { name: 'New tab' }).isDisabled());
  assert.ok(await page.getByRole('button', { name: 'Reload' }).isDisabled());
  server.send({ type: 'dialog', id: 'd1', tab: 'T1', kind: 'confirm', message: 'Sure?', url: '' });
  await page.getByText('Somebody with control can answer.').waitFor();
  await page.getByRole('tab', { name: 'Second' }).click();
  assert.deepEqual(await server.take('watch'), { type: 'watch', tab: 'T2' });
  const kinds = new Set(server.messages.map(({ type }) => type));
  assert.deepEqual(
    [...kinds].filter((type) => !['ack', 'ping', 'visible'].includes(type)),
    [],
  );
});

test('every control is reached by keyboard, has a name, and the picture can be left', async () => {
  await open();
  await page.getByRole('tab').first().focus();
  const reached = [];
  for (let count = 0; count < 20; count += 1) {
    const name = await page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.textContent);
    reached.push(name);
    if (name === 'Keyboard of the page') break;
    await page.keyboard.press('Tab');
  }
  for (const name of [
    'New tab',
    'Back',
    'Reload',
    'Address of the page',
    'Downloads',
    'Permissions',
    'View options',
    'Full screen',
    'Keyboard of the page',
  ]) {
    assert.ok(reached.includes(name), `${name} in ${reached}`);
  }
  await page.keyboard.press('Tab');
  await server.take('key', ({ key }) => key === 'Tab');
  for (const key of ['Control', 'Alt', 'Shift']) await page.keyboard.down(key);
  for (const key of ['Shift', 'Alt', 'Control']) await page.keyboard.up(key);
  assert.equal(await page.evaluate(() => document.activeElement.role), 'tab');
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll('button, input, select, textarea, [role="img"], [role="listbox"]')]
      .filter((element) => element.ariaHidden !== 'true')
      .filter((element) => !(element.ariaLabel || element.labels?.length || element.textContent.trim()))
      .map((element) => element.outerHTML),
  );
  assert.deepEqual(nameless, []);
});

for (const colorScheme of ['light', 'dark']) {
  test(`all text has a contrast of 4.5 to 1, ${colorScheme}`, async () => {
    server.greeting.mode = 'view';
    await open({ colorScheme });
    server.send({ type: 'dialog', id: 'd1', tab: 'T1', kind: 'confirm', message: 'Sure?', url: '' });
    const option = { label: 'Red', selected: true, disabled: false, group: 'Colours' };
    server.send({
      type: 'select',
      id: 's1',
      tab: 'T1',
      x: 0,
      y: 200,
      width: 90,
      height: 20,
      multiple: false,
      options: [option],
    });
    await page.getByRole('option').waitFor();
    for (const name of ['Downloads', 'Permissions', 'View options']) {
      await page.getByRole('button', { name }).click();
      assert.deepEqual(await page.evaluate(faint), []);
    }
  });
}

/** In the page: texts that stand out too little from what is behind them. */
function faint() {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const luminance = (colors) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of colors) {
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
    }
    const linear = [...canvas.getImageData(0, 0, 1, 1).data].map((value) => (value / 255) ** 2.2);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!own || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    if (element.closest(':disabled, [aria-disabled] [aria-disabled], script, option')) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const [text, ground] = [luminance([...behind, getComputedStyle(element).color]), luminance(behind)];
    const ratio = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    if (ratio < 4.5) found.push(`${element.textContent.trim()}: ${ratio.toFixed(1)}`);
  }
  return found;
}
