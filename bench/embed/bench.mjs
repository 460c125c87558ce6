// The embed platform, as a person meets it: from the claim to the first picture in the element, calls of the element, and from a key to the
// pixel that it changes, through the iframe. The embedder's page is of another site than the server, in a real Chromium.
//
// Environment: VITRINE_URL, VITRINE_API_KEY (an organization with minutes), BENCH_ROUNDS (30), BENCH_KEYS (60).

import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { calls, listen, painted, ready } from './page.mjs';

const { VITRINE_URL: base, VITRINE_API_KEY: key } = process.env;
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 30);
const KEYS = Number(process.env.BENCH_KEYS ?? 60);
const TITLES = 300;
const CLICKS = 100;
/** Between sessions: the pool starts another browser. */
const REFILL_MS = 1_500;

const FLIP = `<!doctype html><title>flip</title><body style="margin:0;background:#f00"><button id="target">A button</button><script>
  let on = false;
  addEventListener('keydown', () => { on = !on; document.body.style.background = on ? '#00f' : '#f00'; });
</script>`;
const EMBEDDER = `<!doctype html><title>bench</title><style>body{margin:0}</style><script type="module" src="${base}/browserbox-webview.js"></script>`;

const site = createServer((request, answer) => answer.setHeader('content-type', 'text/html; charset=utf-8').end(request.url === '/flip' ? FLIP : EMBEDDER));
await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
const { port } = site.address();
const origin = `http://localhost:${port}`;
const now = () => performance.timeOrigin + performance.now();

async function api(method, path, body) {
  const answer = await fetch(`${base}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${method} ${path}: ${await answer.text()}`);
  return answer.json();
}
const claim = () => api('POST', '/api/v1/sessions', { minutes: 5, clientIP: '93.184.216.34', allowedEmbeddingOrigins: [origin] });
const end = ({ id }) => api('DELETE', `/api/v1/sessions/${id}`);

const eyes = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await eyes.newPage({ viewport: { width: 1280, height: 760 } });
await page.goto(`${origin}/`);
await page.waitForFunction(() => customElements.get('browserbox-webview'));

async function frameOf({ id }) {
  for (;;) {
    const frame = page.frames().find((each) => each.url().includes(`/s/${id}/`));
    if (frame) return frame;
    await pause(2);
  }
}

/** One start: when the claim was answered, the element ready, and the first picture painted. */
async function start() {
  const begun = now();
  const session = await claim();
  const claimed = now();
  const readyAt = page.evaluate(ready, session.login_url);
  const frame = await frameOf(session);
  const paintedAt = frame.waitForFunction(painted).catch(() => frameOf(session).then((again) => again.waitForFunction(painted)));
  const times = { claimed: claimed - begun, ready: (await readyAt) - begun, painted: (await (await paintedAt).jsonValue()) - begun };
  return { session, times };
}

const at = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
const row = (name, values) => console.log(`${name.padEnd(44)} ${at(values, 0.5).toFixed(1).padStart(8)} ${at(values, 0.95).toFixed(1).padStart(8)}`);

try {
  console.log(`${'ms'.padEnd(44)} ${'p50'.padStart(8)} ${'p95'.padStart(8)}`);
  const starts = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { session, times } = await start();
    starts.push(times);
    await end(session);
    await pause(REFILL_MS);
  }
  row('POST → login_url', starts.map(({ claimed }) => claimed));
  row('POST → api-ready', starts.map((times) => times.ready));
  row('POST → first picture painted', starts.map((times) => times.painted));

  const { session } = await start();
  const frame = await frameOf(session);
  await page.evaluate((url) => document.querySelector('browserbox-webview').navigateTo(url), `http://site.test:${port}/flip`);
  row('page.title()', await page.evaluate(calls, { count: TITLES, method: 'title' }));
  row('click() on a present selector', await page.evaluate(calls, { count: CLICKS, method: 'click' }));
  await frame.evaluate(listen);
  const surface = await frame.locator('#surface').boundingBox();
  await page.mouse.click(surface.x + surface.width / 2, surface.y + surface.height / 2);
  for (let count = 0; count < KEYS; count += 1) {
    await pause(150 + Math.random() * 60);
    await page.keyboard.press('a');
  }
  await pause(500);
  row('key → pixel, through the iframe', await frame.evaluate(() => times));
  await end(session);
} finally {
  await eyes.close();
  site.closeAllConnections();
  site.close();
}
