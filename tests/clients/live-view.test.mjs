// A script drives a session while a person watches it in a real browser, types into it, and takes over what scripts cannot see.
//
// VITRINE_WRITE_PICTURES=1 writes what the person sees to docs/images.

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { startServer } from './server.mjs';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const PICTURES = new URL('../../docs/images/', import.meta.url).pathname;
const SIZE = { width: 1280, height: 720 };
const WAIT_MS = 10_000;

const FORM = `<!doctype html><meta charset="utf-8"><title>A form</title>
<style>
  body { margin: 0; font: 18px/1.5 sans-serif; background: #f4f1ea; color: #222 }
  main { margin: 48px auto; padding: 24px 32px; width: 560px; background: #fff; border-radius: 12px; box-shadow: 0 2px 12px #0002 }
  label { display: block; margin: 14px 0 } input:not([type=file]), select { font: inherit; width: 320px; float: right }
  button { font: inherit; margin: 6px 10px 6px 0 }
</style>
<main>
  <h1>An order</h1>
  <label>Name <input id="name"></label>
  <label>City <input id="city"></label>
  <label>Colour <select id="colour"><option>Red</option><option>Green</option><option>Blue</option></select></label>
  <label>Letter <input id="letter" type="file"></label>
  <button id="ask" onclick="document.title = prompt('Which number?', '7')">Ask</button>
  <a id="receipt" href="/receipt" download>Receipt</a>
</main>`;

function answer(request, response) {
  if (request.url === '/receipt') {
    response.setHeader('Content-Disposition', 'attachment; filename="receipt.txt"');
    return response.setHeader('Content-Type', 'text/plain').end('paid');
  }
  return response.setHeader('Content-Type', 'text/html; charset=utf-8').end(FORM);
}

let server;
let eyes;
before(async () => {
  server = await startServer({ VITRINE_RATE_LIMITS: '*=600000/10000' }, answer);
  eyes = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
});
after(async () => {
  await eyes?.close();
  await server?.stop();
});

async function liveView(id, mode) {
  const { url } = await server.api('POST', '/v1/browsers/live-view', { id, mode });
  const context = await eyes.newContext({ viewport: { width: 1280, height: 860 }, acceptDownloads: true });
  context.setDefaultTimeout(WAIT_MS);
  const view = await context.newPage();
  const complaints = [];
  view.on('pageerror', (error) => complaints.push(String(error)));
  await view.goto(url);
  assert.equal(new URL(view.url()).hash, '', 'the token has left the address');
  return { view, context, complaints };
}

/** Where an element of the session's page is in the picture. */
async function seen(view, page, selector) {
  const inner = await page.locator(selector).boundingBox();
  const outer = await view.locator('#surface').boundingBox();
  const [x, y] = [inner.x + inner.width / 2, inner.y + inner.height / 2];
  return [outer.x + (x / SIZE.width) * outer.width, outer.y + (y / SIZE.height) * outer.height];
}

/** Whether the middle of an element of the session is as dark or bright in the picture as it is there. */
async function painted(view) {
  await view.waitForFunction(() => {
    const canvas = document.querySelector('#picture');
    if (canvas.width < 640) return false;
    const [red, green, blue] = canvas.getContext('2d').getImageData(8, 8, 1, 1).data;
    return [red - 0xf4, green - 0xf1, blue - 0xea].every((difference) => Math.abs(difference) < 12);
  });
}

async function keep(view, name) {
  if (!process.env.VITRINE_WRITE_PICTURES) return;
  await mkdir(PICTURES, { recursive: true });
  await view.screenshot({ path: `${PICTURES}${name}.png` });
}

test('a person sees a scripted session live and takes over', async () => {
  const { id, cdpUrl } = await server.session();
  const browser = await chromium.connectOverCDP(cdpUrl);
  const context = browser.contexts()[0];
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(WAIT_MS);
  await page.setViewportSize(SIZE);
  await page.goto(server.page);
  await page.fill('#name', 'Ada Lovelace');

  const { view, context: person, complaints } = await liveView(id, 'control');
  await painted(view);
  await view.getByRole('tab', { name: 'A form' }).waitFor();
  await keep(view, 'live-view');

  // Typing, also by composition: what an input method makes of keys.
  await view.mouse.click(...(await seen(view, page, '#city')));
  await view.keyboard.type('Paris ');
  await page.waitForFunction(() => document.querySelector('#city').value === 'Paris ');
  const keys = await person.newCDPSession(view);
  for (const text of ['に', 'にほん', 'にほんご']) {
    await keys.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
  }
  await keys.send('Input.insertText', { text: '日本語' });
  await page.waitForFunction(() => document.querySelector('#city').value === 'Paris 日本語');

  // A select list, which Chromium draws outside of the page.
  await view.mouse.click(...(await seen(view, page, '#colour')));
  await view.getByRole('listbox').waitFor();
  await keep(view, 'live-view-select');
  await view.getByRole('option', { name: 'Blue' }).click();
  await page.waitForFunction(() => document.querySelector('#colour').value === 'Blue');

  // A file of the person's own.
  await view.mouse.click(...(await seen(view, page, '#letter')));
  await view.getByLabel('File', { exact: true }).setInputFiles({ name: 'letter.txt', mimeType: 'text/plain', buffer: Buffer.from('Dear') });
  await page.waitForFunction(() => document.querySelector('#letter').files[0]?.name === 'letter.txt');
  assert.equal(await page.evaluate(() => document.querySelector('#letter').files[0].text()), 'Dear');

  // A dialog: the script listens for it, so Playwright leaves it to whoever answers.
  page.on('dialog', () => {});
  await view.mouse.click(...(await seen(view, page, '#ask')));
  const dialog = view.getByRole('alertdialog');
  await dialog.getByRole('textbox', { name: 'Which number?' }).waitFor();
  await keep(view, 'live-view-dialog');
  await dialog.getByRole('textbox').fill('42');
  await view.keyboard.press('Enter');
  await page.waitForFunction(() => document.title === '42');
  await view.getByRole('tab', { name: '42' }).waitFor();

  // A download, saved on the person's side.
  await view.mouse.click(...(await seen(view, page, '#receipt')));
  await view.getByRole('button', { name: /Downloads, 1 new/ }).click();
  const saved = view.waitForEvent('download');
  await view.getByRole('button', { name: 'Save receipt.txt' }).click();
  assert.equal(await readFile(await (await saved).path(), 'utf8'), 'paid');

  assert.deepEqual(complaints, []);
  await browser.close();
  await server.end(id);
  await view.getByText(/ended/i).first().waitFor();
  await person.close();
});

test('who may only look changes nothing, and a revoked link is closed', async () => {
  const { id, cdpUrl } = await server.session();
  const browser = await chromium.connectOverCDP(cdpUrl);
  const page = browser.contexts()[0].pages()[0] ?? (await browser.contexts()[0].newPage());
  await page.setViewportSize(SIZE);
  await page.goto(server.page);
  const { view, context } = await liveView(id, 'view');
  await painted(view);
  await view.mouse.click(...(await seen(view, page, '#name')));
  await view.keyboard.type('never');
  // The page itself sends nothing; a page of somebody else's making would be refused.
  const token = await view.evaluate(() => Object.values(sessionStorage).find((value) => value.includes('view.')));
  const url = `${server.base.replace('http', 'ws')}/view/${id}/ws?token=${encodeURIComponent(token)}`;
  const refused = await view.evaluate(async (address) => {
    const socket = new WebSocket(address);
    await new Promise((resolve) => (socket.onopen = resolve));
    const said = new Promise((resolve) => {
      socket.onmessage = ({ data }) => typeof data === 'string' && JSON.parse(data).type === 'error' && resolve(JSON.parse(data));
    });
    socket.send(JSON.stringify({ type: 'start', version: 1, codings: ['jpeg'] }));
    socket.send(JSON.stringify({ type: 'navigate', url: 'about:blank' }));
    return said;
  }, url);
  assert.equal(refused.about, 'navigate');
  assert.equal(await page.inputValue('#name'), '');
  assert.equal(page.url(), server.page);
  await context.close();

  const made = await server.api('POST', '/v1/browsers/live-view', { id, mode: 'view' });
  await server.api('DELETE', `/v1/browsers/live-view?id=${id}&tokenId=${made.tokenId}`);
  const late = new URLSearchParams(new URL(made.url).hash.slice(1)).get('token');
  const answer = await fetch(`${server.base}/view/${id}/files`, { headers: { Authorization: `Bearer ${late}` } });
  assert.equal(answer.status, 401);
  await browser.close();
  await server.end(id);
});
