// Everything around the picture.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { at, click, open, page, server } from './page.mjs';
import { tab } from './server.mjs';

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
