// POST → ready → Playwright connect → new page → goto local page → close, against the peers, all in one run.
//
// Peers take turns within each round, so that a noisy minute hits all of them. CPU is the whole machine's busy time during an
// operation, client included, less what an idle machine uses; memory is the most that was taken from the machine meanwhile.
//
// Environment: VITRINE_URL, VITRINE_API_KEY, BENCH_ROUNDS (30), BENCH_POOL (4), BENCH_BROWSERLESS (a folder with the package).

import { createServer } from 'node:http';
import { readFileSync, writeFileSync } from 'node:fs';
import { bareShell, browserless, playwrightLaunch, vitrine } from './peers.mjs';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 30);
const POOL = Number(process.env.BENCH_POOL ?? 4);
const SITE = 'site.test';
const TICK_MS = 10;

const site = createServer((_, answer) => {
  answer.setHeader('content-type', 'text/html');
  answer.end('<!doctype html><title>local page</title><h1>Hello</h1>');
});
await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
const page = `http://${SITE}:${site.address().port}/`;

function busyMs() {
  const [user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq) * TICK_MS;
}

function availableMb() {
  return Number(/MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) / 1024;
}

// Answers the milliseconds of each phase.
async function operation(peer) {
  let begun = performance.now();
  const phases = {};
  const phase = async (name, work) => {
    const done = await work;
    phases[name] = performance.now() - begun;
    begun = performance.now();
    return done;
  };
  const { browser, close } = await phase('open', peer.open());
  const context = browser.contexts()[0] ?? (await browser.newContext());
  const tab = await phase('page', context.newPage());
  await phase('goto', tab.goto(page));
  if ((await tab.title()) !== 'local page') throw new Error(`${peer.name} shows another page`);
  begun = performance.now();
  await phase('close', tab.close().then(close));
  return phases;
}

async function measured(peer) {
  const memory = availableMb();
  let least = memory;
  const watch = setInterval(() => (least = Math.min(least, availableMb())), 20);
  const cpu = busyMs();
  const begun = performance.now();
  let phases;
  try {
    phases = await operation(peer);
  } finally {
    clearInterval(watch);
  }
  const ms = performance.now() - begun;
  return { ...phases, ms, cpuMs: busyMs() - cpu, memoryMb: memory - Math.min(least, availableMb()) };
}

const at = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

const ours = vitrine(process.env.VITRINE_URL, process.env.VITRINE_API_KEY);
const peers = [bareShell(SITE), playwrightLaunch(SITE), ours];
const third = browserless(process.env.BENCH_BROWSERLESS ?? '', SITE);
if (third.available()) peers.push(third);
else console.log('browserless is not installed (BENCH_BROWSERLESS names no folder with it): its column is left out\n');

const results = new Map(peers.map((peer) => [peer, []]));
try {
  for (const peer of peers) await peer.start();
  for (let round = -2; round < ROUNDS; round += 1) {
    for (const peer of peers) {
      await ours.rest(POOL);
      const result = await measured(peer);
      if (round >= 0) results.get(peer).push(result);
    }
  }

  const bare = at(results.get(peers[0]).map((r) => r.ms), 0.5);
  const row = (peer) => {
    const of = (field) => results.get(peer).map((result) => result[field]);
    const p50 = at(of('ms'), 0.5);
    return {
      peer: peer.name,
      'p50 ms': p50.toFixed(1),
      'p95 ms': at(of('ms'), 0.95).toFixed(1),
      'p95/p50': (at(of('ms'), 0.95) / p50).toFixed(2),
      'vs bare': (p50 / bare).toFixed(2),
      'open/page/goto/close p50': ['open', 'page', 'goto', 'close'].map((name) => at(of(name), 0.5).toFixed(0)).join(' / '),
      'CPU ms/op': at(of('cpuMs'), 0.5).toFixed(0),
      'peak MiB': at(of('memoryMb'), 0.95).toFixed(0),
    };
  };
  console.table(peers.map(row));

  const p50 = (peer) => at(results.get(peer).map((r) => r.ms), 0.5);
  const target = (what, value, limit) =>
    console.log(`${value <= limit ? 'met   ' : 'MISSED'}  ${what}: ${value.toFixed(2)} (at most ${limit})`);
  target('vitrine p50 / bare headless shell', p50(ours) / bare, 1.15);
  target('vitrine p50 / playwright-core launch', p50(ours) / p50(peers[1]), 0.6);
  if (peers.includes(third)) target('vitrine p50 / browserless', p50(ours) / p50(third), 0.25);
  target('vitrine p95 / p50', at(results.get(ours).map((r) => r.ms), 0.95) / p50(ours), 2);
  const ready = ours.readyMs.slice(2);
  target('POST to ready, p50 ms', at(ready, 0.5), 10);

  await ours.rest(POOL);
  const together = await Promise.allSettled(Array.from({ length: 10 }, () => measured(ours)));
  const failed = together.filter((result) => result.status === 'rejected');
  target('ten at a time, failed', failed.length, 0);
  failed.forEach((result) => console.log(`        ${result.reason}`));
  const times = together.filter((result) => result.status === 'fulfilled').map((result) => result.value.ms);
  if (times.length) console.log(`        ten at a time: p50 ${at(times, 0.5).toFixed(0)} ms, last ${Math.max(...times).toFixed(0)} ms`);
  if (process.env.BENCH_JSON) {
    writeFileSync(process.env.BENCH_JSON, JSON.stringify(Object.fromEntries(peers.map((peer) => [peer.name, results.get(peer)]))));
  }
} finally {
  for (const peer of peers) await peer.stop();
  site.close();
}
