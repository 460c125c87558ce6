// What an embedder and its person see of the page in the frame: controls, frames, selections, places.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { call, count, heard, inside, open, tell } from './embedder.mjs';
import { page, server } from './page.mjs';
import { colours, picture, tab } from './server.mjs';

const ELEMENT = { selector: '#buy', selectors: ['#buy', 'button'], text: 'Buy', href: null, htmlSnippet: '<button>' };

/** Where a point of the session's page (640x360) is on the embedder's screen. */
async function at(x, y) {
  const box = await inside().locator('#surface').boundingBox();
  return [box.x + (x / 640) * box.width, box.y + (y / 360) * box.height];
}

async function show(sequence, unit) {
  server.send(picture({ coding: 'h264', key: sequence === 1, sequence, data: (await colours())[unit] }));
  await server.take('ack', (ack) => ack.sequence === sequence);
}

test('the page takes the size of its frame', async () => {
  await open();
  const { width, height } = await server.take('resize');
  const stage = await inside().locator('#stage').boundingBox();
  assert.deepEqual([width, height], [Math.round(stage.width), Math.round(stage.height)]);
  await page.waitForTimeout(500);
  assert.equal(server.messages.filter(({ type }) => type === 'resize').length, 0, 'asked once');
  server.send({ type: 'watching', tab: 'T2' });
  assert.equal((await server.take('resize')).width, width, 'another tab has another size');
  await page.evaluate(() => (document.querySelector('iframe').width = 500));
  await server.take('resize', (resize) => resize.width === 500);
});

test('the controls are shown and hidden by the embedder, and by the person where they may', async () => {
  await open();
  const header = inside().locator('header');
  const hide = inside().getByRole('button', { name: 'Hide the controls' });
  const reveal = inside().getByRole('button', { name: 'Show the controls' });
  assert.equal((await call('uiVisible')).data, true);
  assert.equal((await call('uiVisible', [false])).data, false);
  await header.waitFor({ state: 'hidden' });
  await reveal.click();
  assert.deepEqual((await heard('ui-visible-changed')).data, { visible: true });
  await header.waitFor();
  await tell({ type: 'bbx-ui-sync', data: { uiVisible: true, allowUserToggleUI: true, chromeMode: 'default' } });
  await hide.click();
  await tell({ type: 'bbx-ui-sync', data: { uiVisible: true, allowUserToggleUI: false } });
  assert.equal((await call('uiVisible')).data, false, 'nothing new was said of it: the person decides');
  assert.equal(await reveal.count(), 0);
  assert.equal((await call('allowUserToggleUI')).data, false);
  assert.equal((await call('allowUserToggleUI', [true])).data, true);
  await call('uiVisible', [true]);
  await tell({ type: 'bbx-ui-sync', data: { chromeMode: 'minimal' } });
  await inside().locator('.strip').waitFor({ state: 'hidden' });
  await inside().locator('#address').waitFor();
  await tell({ type: 'bbx-ui-sync', data: { chromeMode: 'custom' } });
  await header.waitFor({ state: 'hidden' });
  assert.equal(await reveal.count(), 0, 'the embedder draws its own');
  await tell({ type: 'bbx-ui-sync', data: { chromeMode: 'default' } });
  await header.waitFor();
});

test('without controls nobody is caught in the picture, and `ui=false` starts so', async () => {
  await open({ query: '&ui=false' });
  await inside().locator('header').waitFor({ state: 'hidden' });
  await inside().locator('#keys').focus();
  await page.keyboard.press('Control+Alt+Shift');
  assert.notEqual(await inside().evaluate(() => document.activeElement.id), 'keys');
  await page.keyboard.press('Tab');
  assert.equal(await inside().evaluate(() => document.activeElement.ariaLabel), 'Show the controls');
});

test('what the policy takes away has no button', async () => {
  await open();
  const downloads = inside().getByRole('button', { name: 'Downloads' });
  await downloads.waitFor();
  const { policy } = server.embedding.policy;
  const featureControls = { downloads: false, uploads: true, clipboard: false };
  server.send({ ...server.embedding.policy, policy: { ...policy, featureControls } });
  await downloads.waitFor({ state: 'hidden' });
  await inside().getByRole('button', { name: 'View options' }).click();
  await inside().getByRole('button', { name: 'Zoom in' }).waitFor();
  assert.equal(await inside().getByRole('button', { name: 'Paste' }).isVisible(), false);
});

test('a narrow frame keeps everything within its width', async () => {
  await open({ attributes: 'width="320" height="480"' });
  const wide = await inside().evaluate(() => document.documentElement.scrollWidth);
  assert.equal(wide, 320);
  for (const name of ['Back', 'Reload', 'Downloads', 'Permissions', 'Hide the controls']) {
    const box = await inside().getByRole('button', { name }).boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= 320, name);
  }
});

test('to look only takes the hands off, is said to the person and to the machine', async () => {
  await open({ attributes: 'width="480" height="300"' });
  await inside().locator('#stage:not(.empty)').waitFor();
  await tell({ type: 'bbx-ui-sync', data: { interactionMode: 'full' } });
  await tell({ type: 'bbx-ui-sync', data: { interactionMode: 'view-only' } });
  assert.equal((await server.take('interaction')).mode, 'view-only');
  await inside().locator('#mode').getByText('View only').waitFor();
  server.forget();
  await page.mouse.click(...(await at(100, 100)));
  await page.keyboard.type('abc');
  server.send({ type: 'dialog', id: 'd1', tab: 'T1', kind: 'confirm', message: 'Sure?', url: 'https://a.example/' });
  await inside().getByText('Somebody with control can answer.').waitFor();
  assert.ok(
    await inside()
      .locator('#address')
      .evaluate((field) => field.readOnly),
  );
  assert.ok(await inside().locator('#back').isDisabled());
  assert.deepEqual(
    server.messages.filter(({ type }) => ['mouse', 'key', 'dialog'].includes(type)),
    [],
  );
  server.close(1012, 'service_restart');
  assert.equal((await server.take('interaction')).mode, 'view-only', 'also after a reconnection');
  await tell({ type: 'bbx-ui-sync', data: { interactionMode: 'full' } });
  assert.equal((await server.take('interaction')).mode, 'full');
  await page.mouse.click(...(await at(100, 100)));
  await server.take('mouse', ({ kind }) => kind === 'down');
});

test('media permissions go to the sites that are shown', async () => {
  await open();
  await tell({ type: 'bbx-ui-sync', data: { mediaPermissions: 'camera, bluetooth geolocation' } });
  const permission = { type: 'permission', state: 'granted' };
  const origin = 'https://example.com';
  assert.deepEqual(await server.take('permission'), { ...permission, origin, name: 'camera' });
  assert.deepEqual(await server.take('permission'), { ...permission, origin, name: 'geolocation' });
  server.send({ type: 'tabs', active: 'T1', tabs: [tab({ url: 'https://other.example/a' })] });
  assert.equal((await server.take('permission')).origin, 'https://other.example');
});

test('a page that wants to be left with a question is answered as the embedder wishes', async () => {
  await open();
  await tell({ type: 'bbx-ui-sync', data: { beforeunloadBehavior: 'accept', sessionUnloadWarning: true } });
  await heard('bbx-ui-ack');
  server.send({ type: 'dialog', id: 'd7', tab: 'T1', kind: 'beforeunload', message: '', url: 'https://a.example/' });
  const { id, accept } = await server.take('dialog');
  assert.deepEqual([id, accept], ['d7', true]);
  const warned = () => inside().evaluate(() => !dispatchEvent(new Event('beforeunload', { cancelable: true })));
  assert.equal(await warned(), true);
  await tell({ type: 'bbx-ui-sync', data: { sessionUnloadWarning: false } });
  await heard('bbx-ui-ack');
  assert.equal(await warned(), false);
});

test('the latest picture is read once', async () => {
  await open();
  assert.equal((await call('getFrame')).data, null);
  await show(1, 0);
  const frame = await page.evaluate(async () => {
    const { data } = await globalThis.call('getFrame');
    const image = await createImageBitmap(new Blob([data.bytes], { type: data.mime }));
    return { ...data, bytes: data.bytes.constructor.name, decoded: [image.width, image.height] };
  });
  assert.equal(frame.bytes, 'Uint8Array');
  assert.deepEqual([frame.mime, frame.seq, frame.targetId], ['image/jpeg', 1, 'T1']);
  assert.deepEqual(frame.decoded, [frame.width, frame.height]);
  assert.ok(frame.sessionId && Math.abs(Date.now() - frame.capturedAt) < 60_000);
  assert.equal((await call('getFrame')).data, null);
  await show(2, 1);
  assert.equal((await call('getFrame')).data.seq, 2);
});

test('diagnostics and health tell how the transport does', async () => {
  await open();
  await show(1, 0);
  const { data } = await call('getTransportDiagnostics');
  assert.equal(data.codec, 'h264');
  assert.ok(data.rttMs > 0 && data.kbps >= 0 && data.framesPainted === 1 && data.framesDropped === 0);
  const health = (await call('health')).data;
  assert.deepEqual([health.ok, health.usable, health.ready, health.transport], [true, true, true, 'modern']);
  server.refusal = 502;
  server.hangUp();
  await heard('usability-changed');
  assert.equal((await call('health')).data.ok, false);
});

test('where the page is scrolled is told with where its picture lies, at most 30 times a second', async () => {
  await open();
  await inside().locator('#stage:not(.empty)').waitFor();
  const detail = { scrollX: 0, scrollY: 0, width: 640, height: 360, zoom: 1 };
  server.send({ type: 'event', name: 'page-viewport', detail });
  const { data } = await heard('page-viewport');
  const surface = await inside().locator('#surface').boundingBox();
  assert.deepEqual(data, { ...detail, surface });
  for (let scrollY = 1; scrollY <= 300; scrollY += 1)
    server.send({ type: 'event', name: 'page-viewport', detail: { ...detail, scrollY } });
  await page.waitForFunction(() => globalThis.heard.some(({ data }) => data?.scrollY === 300));
  assert.ok((await count('page-viewport')) < 30);
  await page.evaluate(() => (globalThis.heard = []));
  await call('uiVisible', [false]);
  assert.ok((await heard('page-viewport')).data.surface.y < surface.y, 'the picture has moved up');
  server.embedding.answers.set('getScreenMetrics', { width: 640 });
  assert.ok((await call('getScreenMetrics')).data.surface.width > 0);
});

test('a person picks an element with the mouse; the page is not told', async () => {
  await open();
  await inside().locator('#stage:not(.empty)').waitFor();
  server.embedding.answers.set('page.inspectAt', ({ x }) =>
    x < 320 ? { ...ELEMENT, rect: { x: 10, y: 20, width: 100, height: 30 } } : { ...ELEMENT, selector: '#other' },
  );
  const picked = call('beginSelect', [{ prompt: 'Which button?', intent: 'click' }]);
  await inside().getByText('Which button?').waitFor();
  const again = await call('beginSelect', [{}]);
  assert.deepEqual([again.error, again.code], ['a selection is already active', 'ERR_NOT_READY']);
  server.forget();
  await page.mouse.move(...(await at(50, 30)));
  const mark = await inside().locator('.mark').boundingBox();
  const [left, top] = await at(10, 20);
  assert.ok(Math.abs(mark.x - left) < 2 && Math.abs(mark.y - top) < 2);
  await page.mouse.click(...(await at(50, 30)));
  assert.deepEqual((await picked).data, ELEMENT);
  assert.equal(await inside().locator('.pick, .pick-bar, .mark').count(), 0);
  assert.deepEqual(
    server.messages.filter(({ type }) => type === 'mouse'),
    [],
  );
});

test('a selection works by keyboard, and can be given up', async () => {
  await open();
  await inside().locator('#stage:not(.empty)').waitFor();
  server.embedding.answers.set('page.inspectAt', ELEMENT);
  const picked = call('beginSelect', []);
  await inside().locator('.pick').waitFor();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Shift+ArrowUp');
  await page.keyboard.press('Enter');
  assert.deepEqual((await picked).data, ELEMENT);
  assert.deepEqual(server.embedding.calls.at(-1).args, [{ x: 330, y: 100 }]);
  assert.equal((await call('cancelSelect')).data, false);
  const given = call('beginSelect', [{ prompt: '<b>Pick</b>' }]);
  await inside().getByText('<b>Pick</b>').waitFor();
  await page.keyboard.press('Escape');
  assert.equal((await given).error, 'selection cancelled');
  const cancelled = call('beginSelect', []);
  await inside().locator('.pick').waitFor();
  assert.equal((await call('cancelSelect')).data, true);
  assert.equal((await cancelled).error, 'selection cancelled');
});

test('all matches of a generalised selection are shown for a moment, where they are', async () => {
  await open();
  await inside().locator('#stage:not(.empty)').waitFor();
  const detail = { scrollX: 0, scrollY: 100, width: 320, height: 180, zoom: 2 };
  server.send({ type: 'event', name: 'page-viewport', detail });
  await heard('page-viewport');
  server.embedding.policy.methods.push('resolvePageTarget');
  server.embedding.answers.set('generalizeSelection', { selector: 'li', items: [], count: 2 });
  const match = { x: 10, y: 110, width: 50, height: 10 };
  server.embedding.answers.set('resolvePageTarget', { matches: [match, { ...match, y: 130 }], matchCount: 2 });
  assert.equal((await call('generalizeSelection', [{ selector: '#a' }, { preview: true }])).data.count, 2);
  await inside().getByText('2 × li').waitFor();
  const [first] = await inside().locator('.mark').all();
  const { y } = await first.boundingBox();
  const [, top] = await at(20, 20);
  assert.ok(Math.abs(y - top) < 2);
  await inside().locator('.mark').first().waitFor({ state: 'detached' });
});
