// A person's hands: mouse, fingers, keys, compositions, the clipboard.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, click, context, open, page, server } from './page.mjs';

const CONTROL = 2;

function near(message, x, y) {
  assert.ok(Math.abs(message.x - x) < 2 && Math.abs(message.y - y) < 2, JSON.stringify(message));
}

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
    const bytes = new Blob([Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0))], { type: 'image/png' });
    await navigator.clipboard.write([new ClipboardItem({ 'image/png': bytes })]);
  }, png.toString('base64'));
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
