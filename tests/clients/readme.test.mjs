// The README's quick start, as it is printed: its shell lines create and end a session, its Playwright and Puppeteer
// scripts drive it. Only the address and the key file are those of the server of this test.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startServer } from './server.mjs';

const README = new URL('../../README.md', import.meta.url);
const MODULES = new URL('node_modules', import.meta.url).pathname;
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);

let server;
before(async () => (server = await startServer()));
after(() => server?.stop());

test('the quick start does what the README says', async () => {
  const text = await readFile(README, 'utf8');
  const [create, end] = blocks(text, 'sh').map((block) =>
    block.replaceAll('http://127.0.0.1:7070', server.base).replaceAll('.vitrine/api-key', join(server.data, 'api-key')),
  );
  const [playwright, puppeteer] = blocks(text, 'js');
  const folder = server.folder;
  await symlink(MODULES, join(folder, 'node_modules'));
  await writeFile(join(folder, 'playwright.mjs'), playwright);
  await writeFile(join(folder, 'puppeteer.mjs'), puppeteer);

  const scripts = `node playwright.mjs ${server.page}\nnode puppeteer.mjs ${server.page}\n`;
  const output = await shell(`set -eu\n${create}\n${scripts}\n${end}\necho " $ID"`, folder);
  const lines = output.trim().split('\n');
  assert.deepEqual(lines.slice(0, 2), ['A page of the tests', 'A page of the tests']);
  const [answer, id] = lines[2].split(' ');
  assert.deepEqual(JSON.parse(answer), { ok: true });
  for (const picture of ['playwright.png', 'puppeteer.png']) {
    assert.deepEqual((await readFile(join(folder, picture))).subarray(0, 4), PNG);
  }
  const shown = await fetch(`${server.base}/v1/browsers?id=${id}`, { headers: { Authorization: `Bearer ${server.key}` } });
  assert.match((await shown.json()).status, /^(ending|ended)$/);
});

/** The fenced blocks of one language, in order. */
function blocks(text, language) {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((match) => match[1]);
}

/** What a shell script printed; a script that fails or takes more than a minute is an error with its last words. */
async function shell(script, cwd) {
  const child = spawn('sh', ['-c', script], { cwd, timeout: 60_000 });
  let output = '';
  let errors = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (errors += data));
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 0, `${output}\n${errors}`);
  return output;
}
