// What is delivered: how large it is, that its types are complete for a strict consumer, and that it can be imported
// without a DOM.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const GZIPPED_MAX = 25_000;
const dist = new URL('../dist/', import.meta.url);
const compiler = fileURLToPath(new URL('../node_modules/.bin/tsc', import.meta.url));

test('the module is small and asks for nothing else', async () => {
  const source = await readFile(new URL('webview.js', dist));
  const { length } = gzipSync(source, { level: 9 });
  assert.ok(length <= GZIPPED_MAX, `${length} bytes gzipped`);
  assert.doesNotMatch(source.toString(), /\bimport\s*[({"']/);
  assert.doesNotMatch(source.toString(), /sourceMappingURL/);
});

test('it can be imported where there is no DOM', async () => {
  const { BrowserBoxError, BrowserBoxPolicyError, BrowserBoxWebview, VitrineWebview } = await import(
    new URL('webview.js', dist)
  );
  assert.equal(typeof BrowserBoxWebview, 'function');
  assert.ok(VitrineWebview.prototype instanceof BrowserBoxWebview);
  const error = new BrowserBoxPolicyError('no');
  assert.ok(error instanceof BrowserBoxError && error instanceof Error);
  assert.deepEqual(JSON.parse(JSON.stringify(error)), {
    name: 'BrowserBoxPolicyError',
    code: 'ERR_POLICY_DENIED',
    message: 'no',
    status: 403,
    retriable: false,
  });
});

const CONSUMER = `
import { BrowserBoxError, BrowserBoxPolicyError, type BrowserBoxWebview, type EventRecord, type WebviewAttributes } from './webview.js';
const element: BrowserBoxWebview = document.createElement('browserbox-webview');
const other = document.querySelector('vitrine-webview');
element.loginLink = 'https://example.com/login';
element.width = 300;
element.policy = { capture: true };
element.capture = 'snapshot';
const ready: true = await element.whenReady({ timeoutMs: 1000 });
const titles: string[] = (await element.tabs.list()).map(({ title }) => title);
const picture: string = await element.capture.frame({ format: 'png' });
const done: { result: true } = await element.click('#a', { timeoutMs: 5 });
const plain: void = element.click();
const { value } = await element.act({ type: { selector: '#a', text: 'b' } });
element.addEventListener('did-navigate', ({ detail }) => detail.url.length);
element.addEventListener('click', ({ clientX }) => clientX.toFixed());
const stop: () => void = element.on('tab.created', ({ detail }) => detail.index.toFixed());
for await (const { type, tabId } of element.events({ types: ['tab-created'] })) void [type, tabId?.length];
const handle = element.augment({ kind: 'toast', content: { type: 'text', text: 'x' } });
handle.update({ title: 'y' });
const picked = (await element.select({ prompt: 'p' })).getRaw().htmlSnippet;
const allowed: boolean | undefined = element.session.capabilities()['tabs']?.['read'];
const observer = element.observe({ types: ['api-ready'] });
observer.on((record: EventRecord) => record.id);
const attributes: WebviewAttributes = { 'login-link': 'x', height: 600 };
try {
  await element.reload();
} catch (error) {
  if (error instanceof BrowserBoxPolicyError || (error instanceof BrowserBoxError && error.retriable)) console.log(error.toJSON().code);
}
// @ts-expect-error There is no such kind.
element.augment({ kind: 'window' });
// @ts-expect-error A selector is text.
void element.waitForSelector(5);
export { allowed, attributes, done, other, picked, picture, plain, ready, stop, titles, value };
`;

test('a strict consumer compiles against the types alone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'element-consumer-'));
  try {
    await copyFile(new URL('webview.d.ts', dist), join(folder, 'webview.d.ts'));
    await writeFile(join(folder, 'consumer.ts'), CONSUMER);
    const options = {
      strict: true,
      noEmit: true,
      target: 'es2022',
      module: 'nodenext',
      lib: ['es2023', 'dom', 'dom.iterable', 'dom.asynciterable'],
      types: [],
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
    };
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }));
    await promisify(execFile)(compiler, ['-p', folder]).catch(({ stdout }) => assert.fail(stdout));
  } finally {
    await rm(folder, { recursive: true });
  }
});
