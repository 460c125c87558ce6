// The server's own memory: at rest, and for each idle session (its Chromiums are not counted).
//
// Environment: VITRINE_URL, VITRINE_API_KEY, VITRINE_PID, BENCH_IDLE (20).

import { readFileSync } from 'node:fs';
import { vitrine } from './sessions/peers.mjs';

const IDLE = Number(process.env.BENCH_IDLE ?? 20);
const residentKb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process.env.VITRINE_PID}/status`, 'utf8'))[1]);
const ours = vitrine(process.env.VITRINE_URL, process.env.VITRINE_API_KEY);
const target = (what, value, limit) =>
  console.log(`${value <= limit ? 'met   ' : 'MISSED'}  ${what}: ${value.toFixed(1)} (at most ${limit})`);
const settle = () => new Promise((resolve) => setTimeout(resolve, 2_000));

if (process.argv[2] === 'rest') {
  await settle();
  target('server at rest, MiB resident', residentKb() / 1024, 25);
} else {
  // The first sessions also bring what every later one shares; it is not theirs.
  const open = async (count) => {
    const ids = [];
    for (let index = 0; index < count; index += 1) {
      const { id } = await ours.call('POST', '/v1/browsers', { idleTimeoutMs: 0 });
      await ours.call('GET', `/v1/browsers?id=${id}&waitMs=30000`);
      ids.push(id);
    }
    return ids;
  };
  const first = await open(5);
  await settle();
  const before = residentKb();
  const more = await open(IDLE);
  await settle();
  target(`an idle session, KiB of the server's memory (mean of ${IDLE})`, (residentKb() - before) / IDLE, 200);
  for (const id of [...first, ...more]) await ours.call('DELETE', `/v1/browsers?id=${id}`);
}
