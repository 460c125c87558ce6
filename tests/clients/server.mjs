// One real server for a test: the binary that VITRINE_BINARY names, on a free port, with a data directory of its own, and
// one page that sessions reach as http://site.test:PORT/. `stop` ends it by SIGTERM and leaves nothing behind.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const { VITRINE_BINARY: binary, ...environment } = process.env;
const START_MS = 60_000;
const PAGE = '<!doctype html><title>A page of the tests</title><h1>Hello</h1>';

export async function startServer(settings = {}) {
  const site = createServer((request, response) => response.setHeader('Content-Type', 'text/html').end(PAGE));
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-clients-'));
  const data = join(folder, 'data');
  const listen = `127.0.0.1:${await freePort()}`;
  const server = spawn(binary, ['serve', '--data-dir', data, '--listen', listen], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...environment, VITRINE_EGRESS_HOSTS: 'site.test=127.0.0.1', ...settings },
  });
  const ended = once(server, 'exit');
  const base = `http://${listen}`;

  async function stop() {
    server.kill('SIGTERM');
    await ended;
    site.close();
    await rm(folder, { recursive: true });
  }
  try {
    await healthy(base, server);
  } catch (error) {
    await stop();
    throw error;
  }
  const key = (await readFile(join(data, 'api-key'), 'utf8')).trim();
  return { base, data, folder, key, page: `http://site.test:${site.address().port}/`, stop };
}

async function healthy(base, server) {
  const deadline = Date.now() + START_MS;
  while (Date.now() < deadline) {
    if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}`);
    const answer = await fetch(`${base}/health`).catch(() => null);
    if (answer?.ok) return;
    await pause(100);
  }
  throw new Error(`the server was not healthy within ${START_MS} ms`);
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
