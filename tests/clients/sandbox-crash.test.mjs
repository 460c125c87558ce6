// What a server that is killed leaves of its sandboxes: everything, and nothing more. And a pause that goes to disk.

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { sandboxes, until } from './sandbox-client.mjs';
import { startServer } from './server.mjs';

const DISK_AFTER_MS = 3_000;
const TREE = `cd /workspace && find . -printf '%P %y %m %U:%G %s %l %T@\\n' | grep -v '^ d' | sort | sha256sum; find . -type f -exec sha256sum {} + | sort | sha256sum`;

let server;
let client;
before(async () => {
  server = await startServer({
    VITRINE_RATE_LIMITS: '*=600000/10000',
    VITRINE_SANDBOXES_PAUSE_DISK_AFTER_MS: String(DISK_AFTER_MS),
    // What is there is a session's.
    VITRINE_POOL_BROWSERS: '0',
    VITRINE_SANDBOXES_POOL: '0',
  });
  client = sandboxes(server);
});
after(() => server?.stop());

/** Killed as a power cut would, and started again. */
async function killed() {
  await server.crash();
  await server.start();
}

const status = async (id) => (await client.show(id)).status;

test('after a pause to disk the workspace and what was installed are as before', async () => {
  const { id } = await client.create();
  await client.sh(id, 'for d in 1 2 3; do mkdir -p d$d; for f in 1 2 3 4 5; do head -c 100000 /dev/urandom > d$d/f$f; done; done; ln d1/f1 hard; ln -s d2 soft; chmod 600 d3/f3');
  await client.sh(id, 'echo "installed" > /usr/local/bin/marker; useradd -m somebody; sleep 1000 > /dev/null 2>&1 &');
  const before = await client.sh(id, TREE);
  await client.post('pause', { id });
  assert.equal(await status(id), 'paused');
  // Its processes are ended once it is on disk, and its capsule is gone.
  await until('it is on disk', onDisk, 30_000);
  await client.post('resume', { id });
  await until('it is ready again', async () => (await status(id)) === 'ready');
  assert.equal(await client.sh(id, TREE), before);
  assert.equal(await client.sh(id, 'cat /usr/local/bin/marker; id -un somebody'), 'installed\nsomebody\n');
  assert.equal(await client.sh(id, 'pgrep -c sleep || true'), '0\n');
  // And again, over a restart of the server while it is on disk.
  await client.post('pause', { id });
  await until('it is on disk again', onDisk, 30_000);
  await killed();
  assert.equal(await status(id), 'paused');
  // What the killed server left of it may still be on its way out: 503 means later.
  await until('it resumes', () => client.post('resume', { id }));
  await until('it is ready once more', async () => (await status(id)) === 'ready');
  assert.equal(await client.sh(id, TREE), before);
  await client.end(id);
});

test('an exec, a terminal and a write that the server is killed under: the sandbox lives on, nothing is half', async () => {
  const { id } = await client.create();
  await client.raw('PUT', id, 'kept.bin', Buffer.alloc(1_000_000, 1));
  await client.sh(id, 'nohup sh -c "n=0; while :; do n=\\$((n+1)); echo \\$n > count.new; mv count.new count; sleep 0.05; done" > /dev/null 2>&1 &');
  const terminal = await client.terminal(id);
  terminal.type('export SEEN=here; echo ready$((1))\r');
  await terminal.shows('ready1');
  const lost = client.post('exec', { id, command: 'echo began >> log; sleep 2; echo ended >> log' }).then(() => 'answered', () => 'lost');
  // A write that goes on while the server dies.
  let died = false;
  const endless = new ReadableStream({
    async pull(controller) {
      await pause(20);
      if (died) return controller.error(new Error('enough'));
      controller.enqueue(new Uint8Array(64 * 1024).fill(2));
    },
  });
  const write = client.raw('PUT', id, 'kept.bin', endless).then(() => 'answered', () => 'lost');
  await until('the command runs', async () => (await client.sh(id, 'cat log || true')) === 'began\n');
  await killed();
  died = true;
  assert.equal(await write, 'lost');
  assert.equal(await lost, 'lost');
  assert.match(await status(id), /^(ready|active)$/);
  assert.equal(await client.sh(id, 'wc -c < kept.bin; head -c 1 kept.bin | od -An -tu1'), '1000000\n   1\n');
  const counted = async () => Number(await client.sh(id, 'cat count'));
  const seen = await counted();
  await until('the program counts on', async () => (await counted()) > seen);
  const again = await client.terminal(id, { terminalId: terminal.id, offset: 0 });
  again.type('echo "$SEEN"$((2))\r');
  await again.shows('here2');
  await client.end(id);
});

test('a server that is killed during checkpoints and pauses loses none that it answered', async () => {
  const { id } = await client.create();
  await client.sh(id, 'for f in $(seq 200); do head -c 50000 /dev/urandom > f$f; done');
  const before = await client.sh(id, TREE);
  const { checkpoint } = await client.post('checkpoint', { id });
  for (const delay of [5, 30, 80, 200]) {
    await client.sh(id, `head -c 20000000 /dev/urandom > more`);
    const asked = client.post('checkpoint', { id }).then(({ checkpoint }) => checkpoint, () => null);
    await pause(delay);
    await killed();
    const answered = await asked;
    await until('it is in use again', async () => /^(ready|active)$/.test(await status(id)));
    const { items } = await server.api('GET', `/v1/sandboxes/checkpoints?id=${id}`);
    const kept = items.map((item) => item.id);
    assert.ok(kept.includes(checkpoint.id));
    if (answered) assert.ok(kept.includes(answered.id));
    // What is listed can be had: none is half.
    for (const from of kept.slice(0, 2)) {
      const fork = await client.create({ from });
      await client.end(fork.id);
    }
  }
  await client.post('checkpoint/restore', { id, checkpointId: checkpoint.id });
  assert.equal(await client.sh(id, TREE), before);

  for (const delay of [0, 2, 10]) {
    const asked = client.post('pause', { id }).then(() => true, () => false);
    await pause(delay);
    await killed();
    await asked;
    const now = await until('it is settled', async () => {
      const now = await status(id);
      return /^(ready|active|paused)$/.test(now) && now;
    });
    if (now === 'paused') await client.post('resume', { id });
    await until('it is in use', async () => /^(ready|active)$/.test(await status(id)));
    assert.equal(await client.sh(id, TREE), before);
  }
  await client.end(id);
});

test('nothing of an ended sandbox is left', async () => {
  await until('no capsule, run or disk is left', async () =>
    (await Promise.all(['capsules', 'runs', 'disks'].map(names))).flat().length === 0,
  );
});

/** What is in a folder of the server's data; ours are named by sessions. */
async function names(folder) {
  const all = await readdir(join(server.data, folder)).catch(() => []);
  return all.filter((name) => !name.startsWith('.'));
}

/** Whether nothing runs any more. */
async function onDisk() {
  return (await names('capsules')).length === 0;
}
