// The live picture: pictures a second, bits, the server's CPU, and the time from a key to the pixel that it changes.
//
// A page of text that scrolls at 1280x720 is watched by viewers that speak the wire protocol (docs/api/live-view.md), then a still
// one; the way from input to pixel is measured in a real Chromium that decodes as the live view page does. Its peer, in the same
// run, is the plain screencast of the DevTools protocol shown as JPEG by an <img>, from a browser of its own without any server.
//
// Environment: VITRINE_URL, VITRINE_API_KEY, VITRINE_PID (of the server), BENCH_SECONDS (8) for each scene, BENCH_KEYS (60).

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { keysToPixels, peerKeysToPixels } from './page.mjs';

const { VITRINE_URL: base, VITRINE_API_KEY: key, VITRINE_PID: pid } = process.env;
const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
const KEYS = Number(process.env.BENCH_KEYS ?? 60);
const TICK_MS = 10;
/** What is not measured at the beginning of a scene: the first pictures are large. */
const SETTLE_MS = 1_500;
const READY_MS = 25_000;
const HEADER_BYTES = 20;

const SCROLLING = `<!doctype html><meta charset="utf-8"><style>body{font:16px/1.5 sans-serif;margin:24px;width:900px}</style><script>
  for (let n = 0; n < 4000; n += 1) {
    const words = Array.from({ length: 18 }, (_, w) => ((n * 7919 + w * 104729) % 99991).toString(36)).join(' ');
    document.write('<p>' + n + ' ' + words + '</p>');
  }
  let y = 0;
  const step = () => { scrollTo(0, (y = (y + 4) % 100000)); requestAnimationFrame(step); };
  requestAnimationFrame(step);
</script>`;
const STILL = '<!doctype html><title>still</title><h1>Nothing moves here</h1>';
const FLIP = `<!doctype html><title>flip</title><body style="margin:0;background:#f00"><script>
  let on = false;
  addEventListener('keydown', () => { on = !on; document.body.style.background = on ? '#00f' : '#f00'; });
</script>`;
const PAGES = { '/scrolling': SCROLLING, '/still': STILL, '/flip': FLIP };

const site = createServer((request, answer) => {
  answer.setHeader('content-type', 'text/html; charset=utf-8');
  answer.end(PAGES[request.url] ?? '<!doctype html><title>bench</title>');
});
await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
const port = site.address().port;
const inside = (path) => `http://site.test:${port}${path}`;

async function api(method, path, body) {
  const answer = await fetch(`${base}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${method} ${path}: ${await answer.text()}`);
  return answer.json();
}

/** A session with one page open at `path`; Playwright leaves again, so that nothing but viewers is there. */
async function session(path, wish = {}) {
  const { id } = await api('POST', '/v1/browsers', { idleTimeoutMs: 0, ...wish });
  const { cdpUrl } = await api('GET', `/v1/browsers?id=${id}&waitMs=${READY_MS}`);
  const browser = await chromium.connectOverCDP(cdpUrl);
  const page = browser.contexts()[0].pages()[0] ?? (await browser.contexts()[0].newPage());
  await page.setViewportSize({ width: 1280, height: 720 });
  await page.goto(inside(path));
  return { id, leave: () => browser.close(), end: () => api('DELETE', `/v1/browsers?id=${id}`) };
}

async function viewUrl(id, mode) {
  const { url } = await api('POST', '/v1/browsers/live-view', { id, mode });
  const page = new URL(url);
  const token = new URLSearchParams(page.hash.slice(1)).get('token');
  return `${base.replace(/^http/, 'ws')}${page.pathname}/ws?token=${encodeURIComponent(token)}`;
}

/** A viewer that acknowledges every picture at once; counts them and their bytes. */
async function viewer(id) {
  const socket = new WebSocket(await viewUrl(id, 'view'));
  socket.binaryType = 'arraybuffer';
  await once(socket, 'open');
  const seen = { pictures: 0, bytes: 0 };
  socket.addEventListener('message', ({ data }) => {
    if (typeof data === 'string') return void (seen.bytes += data.length);
    seen.pictures += 1;
    seen.bytes += data.byteLength;
    socket.send(JSON.stringify({ type: 'ack', sequence: new DataView(data).getUint32(4) }));
  });
  socket.send(JSON.stringify({ type: 'start', version: 1, codings: ['h264'] }));
  return { seen, close: () => socket.close() };
}

/** Milliseconds of CPU that the server, and nothing else, has used. */
function cpuMs() {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Watches a scene; answers figures for one second. */
async function watched(path, viewers, wish = {}) {
  const { id, leave, end } = await session(path, wish);
  const watching = await Promise.all(Array.from({ length: viewers }, () => viewer(id)));
  await pause(SETTLE_MS);
  watching.forEach(({ seen }) => Object.assign(seen, { pictures: 0, bytes: 0 }));
  const [cpu, begun] = [cpuMs(), performance.now()];
  await pause(SECONDS * 1000);
  const seconds = (performance.now() - begun) / 1000;
  const core = (cpuMs() - cpu) / 1000 / seconds;
  const [first] = watching;
  const figures = {
    fps: first ? first.seen.pictures / seconds : 0,
    kbits: first ? (first.seen.bytes * 8) / 1000 / seconds : 0,
    core,
  };
  watching.forEach(({ close }) => close());
  await leave();
  await end();
  return figures;
}

const at = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
const row = (name, figures) =>
  console.log(`${name.padEnd(38)} ${figures.fps.toFixed(1).padStart(6)} ${figures.kbits.toFixed(0).padStart(8)} ${figures.core.toFixed(3).padStart(8)}`);

console.log(`${'scene'.padEnd(38)} ${'fps'.padStart(6)} ${'kbit/s'.padStart(8)} ${'core'.padStart(8)}`);
const one = await watched('/scrolling', 1);
row('scrolling text, one viewer', one);
const ten = await watched('/scrolling', 10);
row('scrolling text, ten viewers', ten);
const both = await watched('/scrolling', 1, { recording: true });
row('scrolling text, one viewer, recorded', both);
const recorded = await watched('/scrolling', 0, { recording: true });
row('scrolling text, recorded, no viewer', recorded);
const still = await watched('/still', 1);
row('still page, one viewer', still);
console.log(`\nten viewers / one: ${(ten.core / one.core).toFixed(2)} of the CPU; recorded beside viewed / viewed: ${(both.core / one.core).toFixed(2)}\n`);

const profile = mkdtempSync(join(tmpdir(), 'vitrine-bench-'));
const shell = spawn(
  '/usr/lib/chromium/chromium-headless-shell',
  ['--no-sandbox', '--remote-debugging-port=0', '--remote-allow-origins=*', `--user-data-dir=${profile}`, '--window-size=1280,720', `http://127.0.0.1:${port}/flip`],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
const devtools = await new Promise((resolve) => {
  let said = '';
  shell.stderr.on('data', (chunk) => {
    const address = (said += chunk).match(/DevTools listening on (\S+)/);
    if (address) resolve(new URL(address[1]));
  });
});
let peerUrl;
while (!peerUrl) {
  const targets = await (await fetch(`http://${devtools.host}/json/list`)).json();
  peerUrl = targets.find(({ type, url }) => type === 'page' && url.endsWith('/flip'))?.webSocketDebuggerUrl;
}

const flipped = await session('/flip');
const eyes = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  const page = await eyes.newPage({ viewport: { width: 1280, height: 720 } });
  // A page of the server's own origin, as the live view page is.
  await page.goto(`http://127.0.0.1:${port}/`);
  const ours = await page.evaluate(keysToPixels, { url: await viewUrl(flipped.id, 'control'), keys: KEYS });
  const peer = await page.evaluate(peerKeysToPixels, { url: peerUrl, keys: KEYS });
  console.log(`${'input to pixel, ms'.padEnd(38)} ${'p50'.padStart(6)} ${'p95'.padStart(8)}`);
  for (const [name, times] of [['Vitrine, H.264 by WebCodecs', ours], ['DevTools screencast, JPEG in <img>', peer]]) {
    console.log(`${name.padEnd(38)} ${at(times, 0.5).toFixed(1).padStart(6)} ${at(times, 0.95).toFixed(1).padStart(8)}`);
  }
} finally {
  await eyes.close();
  await flipped.leave();
  await flipped.end();
  shell.kill('SIGKILL');
  await once(shell, 'exit');
  rmSync(profile, { recursive: true, force: true });
  site.close();
}
