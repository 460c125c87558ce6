// Sessions with random kills of browser, client and server; at the end nothing of them may be left.
//
// Starts its own server (VITRINE_BINARY) on a data directory of its own, runs SOAK_SESSIONS (500) sessions, SOAK_TOGETHER (6) at a time,
// and does to each one of: a clean life, a client that vanishes, a browser killed, a session deleted while it starts. Every
// SOAK_RESTART_EVERY (60) sessions the server is killed and started again. Then it counts what is left on the machine of its own
// server: another one on the same machine is neither killed nor counted.

import { spawn, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { freePort } from '../sessions/peers.mjs';

const BINARY = process.env.VITRINE_BINARY ?? 'build/vitrine';
const SESSIONS = Number(process.env.SOAK_SESSIONS ?? 500);
const TOGETHER = Number(process.env.SOAK_TOGETHER ?? 6);
const RESTART_EVERY = Number(process.env.SOAK_RESTART_EVERY ?? 60);
const HEALTHY_LIMIT_MS = 120_000;
/** How long one step of a client may take; more is a client that hangs, whoever is to blame. */
const STEP_LIMIT_MS = 60_000;

const data = mkdtempSync(join(tmpdir(), 'vitrine-soak-'));
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let server;
let stopping = false;

async function start() {
  server = spawn(BINARY, ['serve', '--data-dir', data, '--listen', `127.0.0.1:${port}`], {
    stdio: ['ignore', 'ignore', process.env.BENCH_VERBOSE ? 'inherit' : 'ignore'],
    env: { ...process.env, VITRINE_RATE_LIMITS: '*=1000000/1000000', VITRINE_LOG_LEVEL: 'warn' },
  });
  const end = Date.now() + HEALTHY_LIMIT_MS;
  for (;;) {
    const healthy = await fetch(`${url}/health`).then((answer) => answer.ok, () => false);
    if (healthy) return;
    if (Date.now() > end) throw new Error('the server is not healthy in time');
    await sleep(50);
  }
}

function gone(child) {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', resolve));
}

async function restart() {
  server.kill('SIGKILL');
  await gone(server);
  await start();
}

// A call goes on trying while the server is down: what clients do.
async function call(method, path, body) {
  const key = readFileSync(join(data, 'api-key'), 'utf8').trim();
  for (;;) {
    try {
      const answer = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: body && JSON.stringify(body),
      });
      return { status: answer.status, json: await answer.json() };
    } catch (error) {
      if (stopping) throw error;
      await sleep(100);
    }
  }
}

/** The name of the cgroups of this server's capsules. */
function ownGroup() {
  return `vitrine-${readFileSync(join(data, 'machine-id'), 'utf8').trim()}`;
}

function inAnotherServersGroup(pid) {
  try {
    const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
    return groups.includes('/vitrine-') && !groups.includes(`/${ownGroup()}/`);
  } catch {
    // It ended while we looked, and its namespace with it.
    return true;
  }
}

const namespacesSeen = new Set();

/** Process ids of this server's capsules, by cgroup; their network namespaces are kept in mind. */
function capsuleProcesses() {
  const group = `/${ownGroup()}/`;
  const found = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(group)) continue;
      found.push(Number(pid));
      const namespace = readlinkSync(`/proc/${pid}/ns/net`);
      if (namespace !== ownNamespace) namespacesSeen.add(namespace);
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

function mainBrowserProcess(sample) {
  const browsers = sample.filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return command.includes('--remote-debugging-port') && !command.includes('--type=');
    } catch {
      return false;
    }
  });
  return browsers[Math.floor(Math.random() * browsers.length)];
}

const outcomes = {};
function count(word) {
  outcomes[word] = (outcomes[word] ?? 0) + 1;
}

class Hung extends Error {}

async function within(step, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Hung(step)), STEP_LIMIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function life(number) {
  const fate = ['clean', 'vanish', 'kill', 'early'][number % 4];
  const created = await call('POST', '/v1/browsers', { idleTimeoutMs: 1_000, maxDurationMs: 60_000 });
  if (created.status !== 201) return count(`create ${created.status}`);
  const { id } = created.json;
  if (fate === 'early') {
    await call('DELETE', `/v1/browsers?id=${id}`);
    return count('deleted early');
  }
  const { json: session } = await call('GET', `/v1/browsers?id=${id}&waitMs=30000`);
  if (!session.cdpUrl) {
    await call('DELETE', `/v1/browsers?id=${id}`);
    return count(`not ready: ${session.endReason ?? session.status}`);
  }
  try {
    const browser = await within('connect', chromium.connectOverCDP(session.cdpUrl, { timeout: 10_000 }));
    const page = await within('new page', browser.contexts()[0].newPage());
    await within('goto', page.goto('data:text/html,<title>soak</title>'));
    if (fate === 'kill') {
      const victim = mainBrowserProcess(capsuleProcesses());
      if (victim) process.kill(victim, 'SIGKILL');
      await sleep(50);
    }
    await within('close', browser.close());
    count(fate);
  } catch (error) {
    // The server or this very browser was killed meanwhile: that is what is tested.
    count(error instanceof Hung ? `${fate}, hung at ${error.message}` : `${fate}, cut off`);
  }
  if (fate === 'clean') await call('DELETE', `/v1/browsers?id=${id}`);
}

function left() {
  const lines = [];
  const processes = capsuleProcesses();
  if (processes.length) lines.push(`${processes.length} processes`);
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n').filter((line) => line.includes(data));
  if (mounts.length) lines.push(`${mounts.length} mounts`);
  const capsules = join(data, 'capsules');
  const directories = existsSync(capsules) ? readdirSync(capsules).filter((name) => statSync(join(capsules, name)).isDirectory()) : [];
  if (directories.length) lines.push(`${directories.length} capsule directories: ${directories.join(' ')}`);
  const runs = existsSync(join(data, 'runs')) ? readdirSync(join(data, 'runs')) : [];
  if (runs.length) lines.push(`${runs.length} run files`);
  const groups = execFileSync('find', ['/sys/fs/cgroup', '-mindepth', '3', '-type', 'd', '-path', `*/${ownGroup()}/*`], { encoding: 'utf8' }).split('\n').filter(Boolean);
  if (groups.length) lines.push(`${groups.length} cgroups`);
  // The kernel gives the number of a namespace that is gone to the next one: somebody else's is told by its cgroup.
  const namespaces = execFileSync('lsns', ['-n', '-t', 'net', '-o', 'NS,PID'], { encoding: 'utf8' }).split('\n').filter((line) => {
    const [namespace, pid] = line.trim().split(/\s+/);
    return namespacesSeen.has(`net:[${namespace}]`) && !inAnotherServersGroup(pid);
  });
  if (namespaces.length) lines.push(`${namespaces.length} network namespaces`);
  return lines;
}

const ownNamespace = readlinkSync('/proc/self/ns/net');
const begun = Date.now();
let exit = 1;
try {
  await start();
  let next = 0;
  let restarting = Promise.resolve();
  const worker = async () => {
    while (next < SESSIONS) {
      const number = next++;
      if (number > 0 && number % RESTART_EVERY === 0) restarting = restarting.then(restart);
      await life(number);
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, worker));
  await restarting;
  // Sessions whose client vanished end by their idle time.
  const end = Date.now() + 90_000;
  while ((await call('GET', '/v1/browsers')).json.data.length > 0 && Date.now() < end) await sleep(500);
  const open = (await call('GET', '/v1/browsers')).json.data;
  stopping = true;
  server.kill('SIGTERM');
  await gone(server);
  const remains = left();
  if (open.length) remains.push(`${open.length} slots held by sessions that never ended`);
  console.log(`${SESSIONS} sessions, ${Math.floor((SESSIONS - 1) / RESTART_EVERY)} kills of the server, ${Math.round((Date.now() - begun) / 1000)} s`);
  console.table(outcomes);
  console.log(remains.length ? `MISSED  left over: ${remains.join('; ')}` : 'met     nothing left: no process, mount, namespace, directory, cgroup or slot');
  exit = remains.length ? 1 : 0;
} finally {
  if (server && server.exitCode === null && server.signalCode === null) {
    server.kill('SIGTERM');
    await gone(server);
  }
  rmSync(data, { recursive: true, force: true });
}
process.exit(exit);
