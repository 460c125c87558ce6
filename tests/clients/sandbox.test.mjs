// Sandboxes over HTTP and on the command line, against the real binary: the README's quick start, package managers, servers in
// a sandbox, pause, checkpoints, and what a killed server leaves.
//
// VITRINE_WRITE_PICTURES=1 writes what a person sees to docs/images.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { commandLine, run, sandboxes, until } from './sandbox-client.mjs';
import { startServer } from './server.mjs';

const README = new URL('../../README.md', import.meta.url);
const PICTURES = new URL('../../docs/images/', import.meta.url).pathname;
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const SIZE = { width: 1000, height: 560 };
/** Sandboxes trust whom this machine trusts: package managers go to the world outside. */
const MACHINE_BUNDLE = process.env.SSL_CERT_FILE ?? '/etc/ssl/certs/ca-certificates.crt';
/** Package managers fetch a lot. */
const INSTALL_MS = 300_000;

let server;
let client;
let vitrine;
let eyes;
before(async () => {
  server = await startServer({ VITRINE_RATE_LIMITS: '*=600000/10000', VITRINE_CAPSULE_CA_BUNDLE: MACHINE_BUNDLE });
  client = sandboxes(server);
  vitrine = commandLine(server);
  eyes = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
});
after(async () => {
  await eyes?.close();
  await server?.stop();
});

async function picture(page, name) {
  if (process.env.VITRINE_WRITE_PICTURES) await page.screenshot({ path: join(PICTURES, name) });
}

/** The README's block of shell lines that has a text in it, with the address, key and binary of this test. */
async function readme(mark) {
  const text = await readFile(README, 'utf8');
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1]);
  const block = blocks.find((block) => block.includes(mark));
  assert.ok(block, `the README has lines with ${mark}`);
  return block
    .replaceAll('http://127.0.0.1:7070', server.base)
    .replaceAll('.vitrine', server.data)
    .replaceAll('build/vitrine', process.env.VITRINE_BINARY);
}

test('the quick start by HTTP does what the README says', async () => {
  const { code, stdout, stderr } = await run('sh', ['-eu', '-c', await readme('/fs/write')]);
  assert.equal(code, 0, stderr);
  const answers = stdout.trim().split('\n').map((line) => JSON.parse(line));
  const [ready, exec, typescript, python, write, read, list, terminal, pause, resume, checkpoint, end] = answers;
  assert.equal(ready.status, 'ready');
  assert.deepEqual([exec.stdout, typescript.stdout, python.stdout], ['HELLO\n', '42\n', '42\n'], stdout);
  assert.deepEqual([exec.exitCode, exec.signal, exec.timedOut, exec.truncated], [0, null, false, false]);
  assert.equal(write.size, 6);
  assert.deepEqual([read.content, read.encoding, read.size], ['Sunny.', 'utf-8', 6]);
  assert.deepEqual(list.entries.map(({ name, type, size }) => [name, type, size]), [['today.txt', 'file', 6]]);
  assert.match(terminal.terminalUrl, /^ws:.*token=/);
  assert.equal(checkpoint.checkpoint.id.length, 32);
  for (const done of [pause, resume, end]) assert.equal(done.ok, true);
});

test('the quick start on the command line does what the README says', async () => {
  const script = await readme('sandbox create --wait');
  const env = { VITRINE_URL: server.base };
  const { code, stdout, stderr } = await run('sh', ['-eu', '-c', script], { input: 'echo $((6 * 7))$((7 * 6))\nexit\n', env });
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  const lines = stdout.split('\n');
  assert.deepEqual(lines.slice(0, 3), ['HELLO', '42', '42'], stdout);
  assert.equal(lines.filter((line) => line === 'Sunny.').length, 2, stdout);
  for (const part of ['today.txt', '4242', 'paused ', 'resumed ', 'createdAt', 'ended ']) assert.ok(stdout.includes(part), `${part}\n${stdout}`);
});

test('exec on the command line streams, and ends as the program does', async () => {
  const { id } = await client.create();
  const exec = (...words) => vitrine(['sandbox', 'exec', id, ...words]);
  const mixed = await exec('echo out; echo err >&2; exit 7');
  assert.deepEqual([mixed.code, mixed.stdout, mixed.stderr], [7, 'out\n', 'err\n']);
  const words = await exec('--env', 'A=b c', '--cwd', '/tmp', '--', 'sh', '-c', 'echo "$A" "$PWD" "$1"', 'x', 'd  e');
  assert.equal(words.stdout, 'b c /tmp d  e\n', words.stderr);
  const late = await exec('--timeout', '500ms', 'sleep 60');
  assert.equal(late.code, 124, late.stderr);
  assert.match(late.stderr, /ran out of time/);
  assert.equal((await exec('kill -KILL $$')).code, 137);
  assert.equal((await exec('no-such-program-here')).code, 127);
  const sorted = await vitrine(['sandbox', 'exec', id, '-i', '--', 'sort'], { input: 'b\nä\na\n' });
  assert.deepEqual(sorted.stdout.trim().split('\n').toSorted(), ['a', 'b', 'ä'], sorted.stderr);
  const whole = JSON.parse((await vitrine(['--json', 'sandbox', 'exec', id, 'echo x'])).stdout);
  assert.equal(whole.stdout, 'x\n');
  // As it comes: the first word is there long before the last.
  const begun = performance.now();
  let first;
  const slow = spawn(process.env.VITRINE_BINARY, ['sandbox', 'exec', id, 'echo first; sleep 3; echo last'], {
    env: { ...process.env, VITRINE_URL: server.base, VITRINE_API_KEY: server.key },
  });
  slow.stdout.once('data', () => (first = performance.now() - begun));
  await new Promise((resolve) => slow.on('close', resolve));
  assert.ok(first < 2500, `the first word took ${first} ms`);
  assert.equal((await vitrine(['sandbox', 'exec', 'x'.repeat(32), 'true'])).code, 3);
  await client.end(id);
});

test('cp carries files and directories both ways, whatever is in them', async () => {
  const { id } = await client.create();
  const folder = await mkdtemp(join(server.folder, 'copies-'));
  const cp = async (from, to, options) => {
    const copied = await vitrine(['sandbox', 'cp', from, to], options);
    assert.equal(copied.code, 0, copied.stderr);
    return copied;
  };
  const bytes = Buffer.alloc(3_000_000, (index) => (index * 31) % 251);
  await mkdir(join(folder, 'tree/deep/er'), { recursive: true });
  await writeFile(join(folder, 'tree/deep/er/bytes.bin'), bytes);
  await writeFile(join(folder, 'tree/run.sh'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
  await symlink('run.sh', join(folder, 'tree/link'));
  await cp(join(folder, 'tree'), `${id}:`);
  assert.equal(await client.sh(id, './tree/link && wc -c < tree/deep/er/bytes.bin'), 'ran\n3000000\n');
  await client.sh(id, 'ln -s /etc/passwd tree/outside; mkfifo tree/pipe; echo more > tree/deep/more.txt');
  await cp(`${id}:tree`, join(folder, 'back'));
  assert.deepEqual(await readFile(join(folder, 'back/deep/er/bytes.bin')), bytes);
  assert.equal(await readFile(join(folder, 'back/deep/more.txt'), 'utf8'), 'more\n');
  assert.equal((await run(join(folder, 'back/run.sh'), [])).stdout, 'ran\n');
  await cp(join(folder, 'tree/run.sh'), `${id}:other.sh`);
  assert.equal(await client.sh(id, './other.sh'), 'ran\n');
  await cp(`${id}:other.sh`, folder);
  assert.equal(await readFile(join(folder, 'other.sh'), 'utf8'), '#!/bin/sh\necho ran\n');
  await cp('-', `${id}:piped.bin`, { input: bytes });
  assert.deepEqual((await cp(`${id}:piped.bin`, '-')).bytes, bytes);
  const nothing = await vitrine(['sandbox', 'cp', `${id}:no-such-file`, folder]);
  assert.notEqual(nothing.code, 0);
  await rm(folder, { recursive: true });
  await client.end(id);
});

test('shell behaves as ssh does: raw, resized, with the exit code, and the terminal is as before', async () => {
  const { id } = await client.create();
  const command = `stty -a > before; stty rows 33 cols 111; ${process.env.VITRINE_BINARY} sandbox shell ${id}; echo "code=$?"; stty rows 24 cols 80; stty -a > after`;
  const folder = await mkdtemp(join(server.folder, 'shell-'));
  // `script` gives it a terminal of its own.
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: folder,
    env: { ...process.env, VITRINE_URL: server.base, VITRINE_API_KEY: server.key, SHELL: '/bin/sh' },
    timeout: 60_000,
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  const shows = (text) => until(`the shell shows ${text}: ${output}`, () => output.includes(text));
  await pause(500);
  child.stdin.write('stty size; echo half$((1))\n');
  await shows('33 111');
  await shows('half1');
  child.stdin.write('sleep 100\n');
  await pause(500);
  child.stdin.write('\x03');
  child.stdin.write('echo interrupted$((2)); exit 9\n');
  await shows('interrupted2');
  await shows('code=9');
  child.stdin.end();
  await closed;
  const size = /rows \d+; columns \d+;/;
  const [before, after] = await Promise.all(['before', 'after'].map((name) => readFile(join(folder, name), 'utf8')));
  assert.equal(after.replace(size, ''), before.replace(size, ''));
  await client.end(id);
});

test('a Flask server in a sandbox is seen in a real browser through its port preview', async () => {
  const { id } = await client.create({ runtime: 'python' });
  await client.sh(id, 'pip install -q flask', { timeout: INSTALL_MS });
  const app = `from flask import Flask, request
app = Flask(__name__)

@app.get('/')
def page():
    return '''<!doctype html><meta charset="utf-8"><title>Flask in a sandbox</title>
    <style>body { font: 20px/1.5 sans-serif; margin: 64px; color: #17201d; background: #f4f1ea } button { font: inherit; padding: 4px 16px }</style>
    <h1>Hello from a sandbox</h1><p>This page is served by Flask inside a capsule.</p>
    <p><button onclick="fetch('count', { method: 'POST' }).then(a => a.text()).then(t => this.textContent = t)">Count</button></p>'''

seen = 0
@app.post('/count')
def count():
    global seen
    seen += 1
    return f'counted {seen}'
`;
  await client.post('fs/write', { id, path: 'app.py', content: app });
  const terminal = await client.terminal(id);
  terminal.type('flask run --port 5000\r');
  await terminal.shows('Running on');
  const { ports } = await server.api('GET', `/v1/sandboxes/ports?id=${id}`);
  const preview = ports.find(({ port }) => port === 5000);
  assert.ok(preview, JSON.stringify(ports));
  const page = await eyes.newPage({ viewport: SIZE });
  await page.goto(preview.url);
  assert.equal(await page.title(), 'Flask in a sandbox');
  assert.ok(!page.url().includes('token='), page.url());
  await page.getByRole('button').click();
  await page.getByText('counted 1').waitFor();
  await picture(page, 'port-preview.png');

  // The terminal's page shows the same server's log, and is used like any terminal.
  assert.ok(terminal.page, 'there is a page for the terminal');
  const screen = await eyes.newPage({ viewport: SIZE });
  await screen.goto(terminal.page);
  const shown = async () => (await screen.locator('.xterm-rows').innerText()).replaceAll('\u00a0', ' ');
  await until('the page shows the log', async () => (await shown()).includes('POST /count'));
  await screen.keyboard.press('Control+c');
  await screen.keyboard.type('ls --color=always; echo "Grüße, $((6 * 7))"\n');
  await until('the page shows the output', async () => (await shown()).includes('Grüße, 42'));
  await picture(screen, 'terminal.png');
  await client.end(id);
  await until('the page says that it is over', async () => (await screen.locator('#status').innerText()) !== '');
  await screen.close();
  const gone = await page.goto(preview.url);
  assert.notEqual(gone.status(), 200);
  await page.close();
});

test('apt-get installs what is then used; bun adds what TypeScript then imports', async () => {
  const { id } = await client.create({ runtime: 'base' });
  const install = 'apt-get update -q && apt-get install -q -y jq';
  await client.sh(id, install, { timeout: INSTALL_MS });
  assert.equal(await client.sh(id, `echo '{"a":1}' | jq .a`), '1\n');
  await client.end(id);

  const bun = await client.create({ runtime: 'bun' });
  await client.sh(bun.id, 'bun add zod', { timeout: INSTALL_MS });
  const code = `import { z } from 'zod';
const Person = z.object({ name: z.string(), age: z.number() });
type Person = z.infer<typeof Person>;
const person: Person = Person.parse({ name: 'Ada', age: 36 });
console.log(person.name, Person.safeParse({ name: 1 }).success);`;
  const ran = await client.post('code', { id: bun.id, code });
  assert.deepEqual([ran.stdout, ran.exitCode], ['Ada false\n', 0], JSON.stringify(ran));
  await client.end(bun.id);
});

test('a program counts on across pause and resume, and stands still in between', async () => {
  const { id } = await client.create();
  const counted = async () => Number(await client.sh(id, 'cat count'));
  await client.sh(id, 'nohup sh -c "n=0; while :; do n=\\$((n+1)); echo \\$n > count.new; mv count.new count; sleep 0.05; done" >/dev/null 2>&1 &');
  await until('the program counts', async () => (await counted()) > 3);
  const before = await counted();
  await client.post('pause', { id });
  assert.equal((await client.show(id)).status, 'paused');
  await assert.rejects(client.post('exec', { id, command: 'true' }), /409/);
  await pause(2000);
  await client.post('resume', { id });
  const after = await counted();
  assert.ok(after >= before && after < before + 25, `${before}, then ${after}`);
  await until('the program counts on', async () => (await counted()) > after);
  await client.end(id);
});

test('a checkpoint is restored, and forked several at once, as it was', async () => {
  const { id } = await client.create({ runtime: 'python' });
  await client.sh(id, 'mkdir -p a/b && seq 10000 > a/b/numbers && ln -s b/numbers a/link && chmod 750 a/b && touch -d @1000000000 a/b/numbers');
  const tree = `cd /workspace && find . -printf '%P %y %m %s %l %T@\\n' | grep -v '^ d' | sort | sha256sum; find . -type f -exec sha256sum {} + | sort | sha256sum`;
  const before = await client.sh(id, tree);
  const { checkpoint } = await client.post('checkpoint', { id });
  await client.sh(id, 'rm -r a; echo other > other');
  const forks = await Promise.all([1, 2, 3].map(() => client.create({ from: checkpoint.id, runtime: 'python' })));
  for (const fork of forks) {
    assert.equal(await client.sh(fork.id, tree), before);
    await client.sh(fork.id, `echo ${fork.id} > a/b/numbers`);
  }
  await client.post('checkpoint/restore', { id, checkpointId: checkpoint.id });
  assert.equal(await client.sh(id, tree), before);
  await Promise.all([id, ...forks.map((fork) => fork.id)].map((each) => client.end(each)));
});
