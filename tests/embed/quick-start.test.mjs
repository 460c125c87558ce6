// The README's section on embedding, as it is printed: its shell lines claim a session, its page shows and drives it. Only the address,
// the key file, the binary, the port of the page and the site that is visited are those of this test.
//
// VITRINE_WRITE_PICTURES=1 writes what the person sees to docs/images.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before } from 'node:test';
import { promisify } from 'node:util';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

const README = new URL('../../README.md', import.meta.url);
const PICTURE = new URL('../../docs/images/embed.png', import.meta.url).pathname;

let world;
before(async () => (world = await startWorld({ VITRINE_MACHINE_REGION_GLOBAL: 'local' })));
after(() => world?.stop());

/** The blocks of the README's section, by language. */
async function section() {
  const [, text] = (await readFile(README, 'utf8')).split('\n## Embed a browser\n');
  const [own] = text.split('\n## ');
  const block = (language) => new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(own)[1];
  return { lines: block('sh'), page: block('html') };
}

behaviour(
  'the README’s page shows a browser and drives it',
  ['attribute login-link', 'attribute height', 'attribute capture', 'whenReady', 'page.navigate', 'type', 'click', 'capture.frame', 'POST /api/v1/sessions'],
  async () => {
    const { lines, page } = await section();
    let html = '';
    const server = createServer((request, response) => response.setHeader('Content-Type', 'text/html; charset=utf-8').end(html));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const origin = `http://localhost:${server.address().port}`;
    try {
      const script = lines
        .replaceAll('http://127.0.0.1:7070', world.server.base)
        .replaceAll('http://localhost:8000', origin)
        .replaceAll('build/vitrine', process.env.VITRINE_BINARY)
        .replace('VITRINE_DATA_DIR=.vitrine', `VITRINE_DATA_DIR=${world.server.data} VITRINE_URL=${world.server.base}`)
        .replaceAll('.vitrine/api-key', `${world.server.data}/api-key`);
      const { stdout } = await promisify(execFile)('sh', ['-euc', script]);
      const { login_url: link } = JSON.parse(stdout.slice(stdout.indexOf('{"')));
      html = page
        .replaceAll('http://127.0.0.1:7070', world.server.base)
        .replace('LOGIN_URL', link)
        .replace('https://www.wikipedia.org/', world.site('encyclopedia'));
      const host = await world.open(origin, { viewport: { width: 1280, height: 700 } });
      const complaints = [];
      host.on('pageerror', (error) => complaints.push(String(error)));
      const picture = host.locator('body > img');
      await picture.waitFor().catch((error) => {
        throw new Error(`${error.message}\n${complaints.join('\n')}`);
      });
      assert.match(await picture.getAttribute('src'), /^data:image\/png;base64,/);
      const title = () => host.locator('browserbox-webview').evaluate((view) => view.page.title());
      await eventually(async () => (await title()) === 'Window – an encyclopedia', 'what was searched for');
      assert.deepEqual(complaints, []);
      if (process.env.VITRINE_WRITE_PICTURES) {
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        await host.evaluate(() => scrollTo(0, 0));
        await host.screenshot({ path: PICTURE });
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },
);
