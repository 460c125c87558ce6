// Sandboxes: create to first command against the peers (one after the other, staggered, in a burst), then what a live one
// does: commands, code, terminals, files, pause, checkpoints; memory, and how many live at once.
//
// Environment: VITRINE_BINARY (build/vitrine), BENCH_ROUNDS (30), BENCH_BURST (100), BENCH_LIVE (200), BENCH_ONLY (a part's name).

import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { peers } from './peers.mjs';
import { create, end, exec, gone, run, Server } from './server.mjs';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 30);
const BURST = Number(process.env.BENCH_BURST ?? 100);
const LIVE = Number(process.env.BENCH_LIVE ?? 200);
const STAGGER_MS = 200;
const POOL = 8;
const REST_MS = 200;
const MEGABYTE = 1_000_000;

const at = (values, share) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
const p50 = (values) => at(values, 0.5);
const p95 = (values) => at(values, 0.95);
const shown = (value) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

function target(what, value, limit, unit = 'ms') {
  console.log(`${value <= limit ? 'met   ' : 'MISSED'}  ${what}: ${shown(value)} ${unit} (at most ${limit})`);
}

function least(what, value, limit, unit) {
  console.log(`${value >= limit ? 'met   ' : 'MISSED'}  ${what}: ${shown(value)} ${unit} (at least ${limit})`);
}

async function timed(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

async function times(count, work) {
  const all = [];
  for (let round = -2; round < count; round += 1) {
    const ms = await timed(work);
    if (round >= 0) all.push(ms);
  }
  return all;
}

/** Vitrine as a peer: POST, wait until ready, exec, over kept connections. */
function ours(title, server) {
  const free = [];
  return {
    name: title,
    start() {},
    /** The pool fills again meanwhile. */
    rest: () => pause(REST_MS),
    /** What a client has open before it begins. */
    async connect(count) {
      while (free.length < count) free.push(await server.connection());
    },
    async create() {
      const connection = free.pop() ?? (await server.connection());
      const id = await create(connection);
      await run(connection, id, 'true');
      const remove = async () => {
        await gone(connection, id);
        free.push(connection);
      };
      return { remove };
    },
    stop: () => free.forEach((connection) => connection.close()),
  };
}

async function createToFirstCommand(all) {
  const rows = [];
  for (const peer of all) await peer.start();
  const sequential = new Map(all.map((peer) => [peer, []]));
  // Taking turns, so that a noisy minute hits all of them.
  for (let round = -2; round < ROUNDS; round += 1) {
    for (const peer of all) {
      await peer.rest?.();
      let made;
      const ms = await timed(async () => (made = await peer.create()));
      await made.remove();
      if (round >= 0) sequential.get(peer).push(ms);
    }
  }
  for (const peer of all) {
    await peer.rest?.();
    const staggered = await Promise.all(
      Array.from({ length: ROUNDS }, async (_, index) => {
        await pause(index * STAGGER_MS);
        let made;
        const ms = await timed(async () => (made = await peer.create()));
        await made.remove();
        return ms;
      }),
    );
    await peer.rest?.();
    await peer.connect?.(BURST);
    const begun = performance.now();
    const burst = await Promise.allSettled(Array.from({ length: BURST }, () => peer.create()));
    const last = performance.now() - begun;
    const made = burst.filter(({ status }) => status === 'fulfilled');
    const failed = burst.find(({ status }) => status === 'rejected');
    if (failed) console.log(`        ${peer.name}, burst: ${failed.reason}`.slice(0, 300));
    for (const { value } of made) await value.remove();
    const all = sequential.get(peer);
    rows.push({
      peer: peer.name,
      'p50 ms': shown(p50(all)),
      'p95 ms': shown(p95(all)),
      'staggered p50': shown(p50(staggered)),
      'staggered p95': shown(p95(staggered)),
      [`burst of ${BURST}, last ms`]: shown(last),
      failed: BURST - made.length,
    });
    peer.result = { sequential: all, last, failed: BURST - made.length };
  }
  for (const peer of all) await peer.stop();
  console.table(rows);
}

async function commands(server) {
  const connection = await server.connection();
  const id = await create(connection);
  const direct = await times(500, () => run(connection, id, 'true'));
  target('exec of true, p50', p50(direct), 2);
  target('exec of true, p95', p95(direct), 10);
  console.log(`        by a shell (\`sh -lc true\`): p50 ${shown(p50(await times(100, () => exec(connection, id, 'true'))))} ms`);
  const many = await Promise.all(Array.from({ length: 200 }, () => server.connection()));
  const together = await timed(() => Promise.all(many.map((each) => run(each, id, 'true'))));
  console.log(`        200 at once: all done after ${shown(together)} ms`);
  many.forEach((each) => each.close());
  const code = (language, text) => connection.json('POST', '/v1/sandboxes/code', { id, language, code: text });
  target('code: bun, p50', p50(await times(ROUNDS, () => code('typescript', 'console.log("hello")'))), 30);
  target('code: python, p50', p50(await times(ROUNDS, () => code('python', 'print("hello")'))), 80);
  await end(connection, id);
  connection.close();
}

async function terminals(server) {
  const connection = await server.connection();
  const id = await create(connection);
  const { terminalUrl } = await connection.json('GET', `/v1/sandboxes/terminal?id=${id}`);
  const socket = new WebSocket(`${terminalUrl}&offset=0`);
  socket.binaryType = 'arraybuffer';
  let output = '';
  let look = () => {};
  socket.onmessage = ({ data }) => {
    if (typeof data !== 'string') output += Buffer.from(data).toString();
    look();
  };
  const shows = (text) =>
    new Promise((resolve) => {
      look = () => output.includes(text) && resolve();
      look();
    });
  await new Promise((resolve) => (socket.onopen = resolve));
  socket.send(Buffer.from('echo begin$((1)); cat\r'));
  await shows('begin1');
  await pause(200);
  const echoes = [];
  for (let round = 0; round < 300; round += 1) {
    output = '';
    const letter = 'abcdefghij'[round % 10];
    echoes.push(await timed(() => (socket.send(Buffer.from(letter)), shows(letter))));
    await pause(3);
  }
  target('terminal: key to echo, p50', p50(echoes), 10);
  target('terminal: key to echo, p95', p95(echoes), 10);
  socket.close();
  await end(connection, id);
  connection.close();
}

async function files(server) {
  const connection = await server.connection();
  const id = await create(connection);
  const piece = Buffer.alloc(4 * MEGABYTE, 7);
  const path = `/v1/sandboxes/fs/raw?id=${id}&path=large.bin`;
  const speeds = { up: [], down: [] };
  for (let round = 0; round < 5; round += 1) {
    speeds.up.push(400 / ((await timed(() => connection.upload(path, piece, 100))) / 1000));
    speeds.down.push(400 / ((await timed(() => connection.download(path))) / 1000));
  }
  least('upload of 400 MB, p50', p50(speeds.up), 400, 'MB/s');
  least('download of 400 MB, p50', p50(speeds.down), 400, 'MB/s');
  await end(connection, id);
  connection.close();
}

/** 5,000 files in 100 folders, 78 MB. */
const FILES = `for d in $(seq 100); do mkdir -p d$d; head -c 780000 /dev/urandom | split -b 15600 -a 3 - d$d/f; done`;

async function pauses(server, stored) {
  const connection = await server.connection();
  const id = await create(connection);
  const [pausing, resuming] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    pausing.push(await timed(() => connection.json('POST', '/v1/sandboxes/pause', { id })));
    resuming.push(await timed(() => connection.json('POST', '/v1/sandboxes/resume', { id })));
  }
  target('pause, p50', p50(pausing), 5);
  target('resume of a frozen one, p50', p50(resuming), 5);
  await end(connection, id);
  connection.close();

  const other = await stored.connection();
  const disk = await create(other);
  await exec(other, disk, 'head -c 100000000 /dev/urandom > large; for i in $(seq 500); do echo $i > f$i; done', { timeout: 60_000 });
  const all = [];
  for (let round = 0; round < 8; round += 1) {
    await other.json('POST', '/v1/sandboxes/pause', { id: disk });
    await pause(1_500);
    all.push(
      await timed(async () => {
        await other.json('POST', '/v1/sandboxes/resume', { id: disk });
        await other.json('GET', `/v1/sandboxes?id=${disk}&waitMs=30000`);
        await run(other, disk, 'true');
      }),
    );
  }
  target('resume from disk to first command, 100 MB workspace, p50', p50(all), 500);
  await end(other, disk);
  other.close();
}

async function checkpoints(server) {
  const connection = await server.connection();
  const [first, second, forks] = [[], [], []];
  for (let round = 0; round < 4; round += 1) {
    const id = await create(connection);
    await exec(connection, id, FILES, { timeout: 60_000 });
    let kept;
    const checkpoint = async () => (kept = await connection.json('POST', '/v1/sandboxes/checkpoint', { id }));
    first.push(await timed(checkpoint));
    await exec(connection, id, 'echo changed > d1/faaa');
    second.push(await timed(checkpoint));
    const from = kept.checkpoint.id;
    // The first fork on a machine unpacks; each later one costs a mount.
    for (let fork = 0; fork < 3; fork += 1) {
      let made;
      forks.push({ fork, ms: await timed(async () => (made = await create(connection, { from }))) });
      await gone(connection, made);
    }
    await gone(connection, id);
  }
  target('checkpoint of 5,000 files, 78 MB, p50', p50(first), 500);
  target('the second after a small change, p50', p50(second), 100);
  const unpacked = forks.filter(({ fork }) => fork > 0).map(({ ms }) => ms);
  target('fork to ready, p50', p50(unpacked), 100);
  console.log(`        the first fork of a checkpoint: p50 ${shown(p50(forks.filter(({ fork }) => fork === 0).map(({ ms }) => ms)))} ms`);
  connection.close();
}

const availableKb = () => Number(/MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))[1]);

async function memory(server) {
  const connection = await server.connection();
  const first = await create(connection);
  await pause(2_000);
  const before = availableKb();
  const ids = [];
  const took = await timed(async () => {
    const many = await Promise.all(Array.from({ length: 20 }, () => server.connection()));
    await Promise.all(
      many.map(async (each) => {
        for (let made = 0; made < LIVE / 20; made += 1) ids.push(await create(each));
        each.close();
      }),
    );
  });
  console.log(`        ${LIVE} sandboxes were ready after ${shown(took)} ms`);
  await pause(3_000);
  const each = (before - availableKb()) / LIVE / 1024;
  const { resources } = await connection.json('GET', `/v1/sandboxes/runtime?id=${ids[0]}`);
  target('an idle sandbox, its cgroup', resources.memoryBytes / 1024 / 1024, 3, 'MiB');
  console.log(`        of the machine's memory, everything included: ${shown(each)} MiB each (${LIVE} live)`);
  const asked = await timed(async () => {
    for (const id of ids) await run(connection, id, 'true');
  });
  console.log(`        a command in each of ${LIVE}: ${shown(asked / LIVE)} ms each`);
  for (const id of [first, ...ids]) await end(connection, id);
  for (const id of ids) await gone(connection, id);
  connection.close();
}

const only = process.env.BENCH_ONLY;
const part = async (name, work) => {
  if (only && only !== name) return;
  console.log(`\n${name}`);
  await work();
};
const warm = await Server.start({ VITRINE_SANDBOXES_POOL: String(POOL) });
const cold = await Server.start({ VITRINE_SANDBOXES_POOL: '0', VITRINE_SANDBOXES_PAUSE_DISK_AFTER_MS: '200' });
try {
  await part('create', async () => {
    const here = peers.filter((peer) => peer.available());
    const absent = peers.filter((peer) => !here.includes(peer)).map((peer) => peer.name);
    if (absent.length) console.log(`not installed, left out: ${absent.join(', ')}`);
    const [pooled, fresh] = [ours('vitrine, warm pool', warm), ours('vitrine, no pool', cold)];
    await createToFirstCommand([pooled, fresh, ...here]);
    target('create to first command, warm, p50', p50(pooled.result.sequential), 5);
    target('create to first command, cold, p50', p50(fresh.result.sequential), 25);
    target(`burst of ${BURST}, last`, pooled.result.last, 3_000);
    target(`burst of ${BURST}, failed`, pooled.result.failed, 0, '');
  });
  await part('commands', () => commands(warm));
  await part('terminals', () => terminals(warm));
  await part('files', () => files(warm));
  await part('pauses', () => pauses(warm, cold));
  await part('checkpoints', () => checkpoints(warm));
  await part('memory', () => memory(warm));
} finally {
  await warm.stop();
  await cold.stop();
}
