// One real server for a test: the binary that VITRINE_BINARY names, on a free port, with a data directory of its own, and
// one site that sessions reach as http://site.test:PORT/. `stop` ends it by SIGTERM and leaves nothing behind; `crash` kills
// it as a power cut would, and `start` brings it back on the same data.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const { VITRINE_BINARY: binary, ...environment } = process.env;
const START_MS = 60_000;
const READY_MS = 25_000;
const END_MS = 60_000;
const PAGE = '<!doctype html><title>A page of the tests</title><h1>Hello</h1>';

/** The site that answers everything with one small page. */
function onePage(request, response) {
  response.setHeader('Content-Type', 'text/html').end(PAGE);
}

export async function startServer(settings = {}, answer = onePage) {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-clients-'));
  const certificate = await selfSigned(folder);
  const sites = [createServer(answer), createSecureServer(certificate, answer)];
  for (const site of sites) {
    site.listen(0, '127.0.0.1');
    await once(site, 'listening');
  }
  const data = join(folder, 'data');
  const listen = `127.0.0.1:${await freePort()}`;
  const base = `http://${listen}`;
  let server;
  let ended;

  async function start() {
    server = spawn(binary, ['serve', '--data-dir', data, '--listen', listen], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...environment,
        VITRINE_EGRESS_HOSTS: 'site.test=127.0.0.1',
        VITRINE_CAPSULE_CA_BUNDLE: join(folder, 'certificate.pem'),
        ...settings,
      },
    });
    ended = once(server, 'exit');
    await healthy(base, server);
  }
  async function crash() {
    server.kill('SIGKILL');
    await ended;
  }
  async function stop() {
    server?.kill('SIGTERM');
    await ended;
    sites.forEach((site) => site.close());
    await rm(folder, { recursive: true });
  }
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  const key = (await readFile(join(data, 'api-key'), 'utf8')).trim();
  const [page, securePage] = sites.map((site, index) => `${['http', 'https'][index]}://site.test:${site.address().port}/`);

  /** Asks the API; an answer that is no success is an error. */
  async function api(method, path, body) {
    const answer = await fetch(`${base}${path}`, {
      method,
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${answer.status} ${method} ${path}: ${await answer.text()}`);
    return answer.json();
  }
  /** A new session that is ready. */
  async function session(wish = {}) {
    const { id } = await api('POST', '/v1/browsers', wish);
    const ready = await api('GET', `/v1/browsers?id=${id}&waitMs=${READY_MS}`);
    if (ready.status !== 'ready') throw new Error(`the session is ${ready.status}: ${JSON.stringify(ready.error)}`);
    return ready;
  }
  /** Ends a session; brings it when nothing of it is left. */
  async function end(id) {
    await api('DELETE', `/v1/browsers?id=${id}`);
    const deadline = Date.now() + END_MS;
    while (Date.now() < deadline) {
      const session = await api('GET', `/v1/browsers?id=${id}`);
      if (session.status === 'ended' || session.status === 'failed') return session;
      await pause(50);
    }
    throw new Error(`the session ${id} did not end within ${END_MS} ms`);
  }
  /** The bytes of an artifact, by a URL that needs no key. */
  async function artifact(id, key) {
    const { url } = await api('GET', `/v1/browsers/artifacts/download?id=${id}&key=${encodeURIComponent(key)}`);
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${answer.status} for the artifact ${key}`);
    return { url, bytes: Buffer.from(await answer.arrayBuffer()) };
  }
  return { base, data, folder, key, page, securePage, start, crash, stop, api, session, end, artifact };
}

/** A certificate for the site, and the one that capsules of the test trust: what browsers tell only to secure pages is seen. */
async function selfSigned(folder) {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const subject = ['-subj', '/CN=site.test', '-addext', 'subjectAltName=DNS:site.test', '-days', '2'];
  const openssl = spawn('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  const [code] = await once(openssl, 'close');
  if (code !== 0) throw new Error(`openssl ended with ${code}`);
  return { key: await readFile(key), cert: await readFile(cert) };
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
