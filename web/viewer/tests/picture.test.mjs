// Pictures, and the connection that they come by.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { context, load, open, page, server } from './page.mjs';
import { colours, picture, TOKEN } from './server.mjs';

const RED = [255, 0, 0];
const LIME = [0, 255, 0];
const BLUE = [0, 0, 255];

/** Waits until the middle of the picture has a colour. */
async function shown(colour) {
  await page.waitForFunction(([red, green, blue]) => {
    const canvas = document.querySelector('#picture');
    const at = canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
    return [red, green, blue].every((value, index) => Math.abs(value - at[index]) < 40);
  }, colour);
}

async function jpeg(colour) {
  const other = await context.newPage();
  await other.setContent(`<body style="background:${colour}">`);
  const data = await other.screenshot({ type: 'jpeg' });
  await other.close();
  return data;
}

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
