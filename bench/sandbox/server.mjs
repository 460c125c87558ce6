// A server of the benchmark's own, with limits that are not what is measured.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Connection } from './http.mjs';

const START_MS = 60_000;
const BINARY = process.env.VITRINE_BINARY ?? new URL('../../build/vitrine', import.meta.url).pathname;

export class Server {
  static async start(settings = {}) {
    const server = new Server();
    server.folder = await mkdtemp(join(tmpdir(), 'vitrine-bench-sandbox-'));
    const port = await freePort();
    server.url = `http://127.0.0.1:${port}`;
    const log = openSync(join(server.folder, 'log'), 'w');
    const environment = {
      VITRINE_LOG_LEVEL: 'warn',
      VITRINE_RATE_LIMITS: '*=10000000/10000000',
      VITRINE_PLANS_SCALE_CONCURRENT_SANDBOXES: '1000',
      VITRINE_MACHINE_SLOTS: '400',
      VITRINE_POOL_BROWSERS: '0',
      ...settings,
    };
    const data = join(server.folder, 'data');
    server.child = spawn(BINARY, ['serve', '--data-dir', data, '--listen', `127.0.0.1:${port}`], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...environment },
    });
    server.ended = once(server.child, 'exit');
    const deadline = Date.now() + START_MS;
    while (!(await fetch(`${server.url}/health`).catch(() => null))?.ok) {
      if (Date.now() > deadline || server.child.exitCode !== null) {
        throw new Error(`the server is not healthy: ${await readFile(join(server.folder, 'log'), 'utf8')}`);
      }
      await pause(50);
    }
    server.key = (await readFile(join(data, 'api-key'), 'utf8')).trim();
    return server;
  }

  connection() {
    return Connection.open(this.url, this.key);
  }

  async stop() {
    this.child.kill('SIGTERM');
    await this.ended;
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A sandbox that is ready. */
export async function create(connection, wish = {}) {
  const { id } = await connection.json('POST', '/v1/sandboxes', wish);
  const session = await connection.json('GET', `/v1/sandboxes?id=${id}&waitMs=30000`);
  if (session.status !== 'ready') throw new Error(`it is ${session.status}: ${JSON.stringify(session.error)}`);
  return id;
}

export async function exec(connection, id, command, more = {}) {
  const ended = await connection.json('POST', '/v1/sandboxes/exec', { id, command, ...more });
  if (ended.exitCode !== 0) throw new Error(`${command}: ${JSON.stringify(ended)}`);
  return ended.stdout;
}

/** Without a shell in between. */
export const run = (connection, id, ...words) => exec(connection, id, words[0], { args: words.slice(1) });

export const end = (connection, id) => connection.json('DELETE', `/v1/sandboxes?id=${id}`);

/** Ended, and nothing of it left. */
export async function gone(connection, id) {
  await end(connection, id);
  for (;;) {
    const { status } = await connection.json('GET', `/v1/sandboxes?id=${id}`);
    if (status === 'ended' || status === 'failed') return;
    await pause(5);
  }
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
