// Remote pages that do what they can, and embedders that send what they like: calls end in time, and other tabs go on.

import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

let world;
let host;
let session;
before(async () => (world = await startWorld()));
after(() => world?.stop());
afterEach(async () => {
  await host?.context().close();
  if (session) await world.release(session);
});

async function embedded() {
  session = await world.claim();
  host = await world.open();
  return world.embed(host, session, { 'interaction-mode': 'full', 'request-timeout-ms': '8000' });
}

const member = ['hostile remote page'];

behaviour('a page that bends everything is read, moved and left', member, async () => {
  const view = await embedded();
  const since = await view.mark();
  await view.run((element, url) => element.navigateTo(url), world.site('hostile'));
  assert.equal(await view.run((element) => element.waitForSelector('#here', { timeoutMs: 5_000 })), true);
  await view.run((element) => element.click('#here'));
  assert.match(await view.run((element) => element.page.text()), /Hostile/);
  await view.run((element) => element.capture.frame());
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const updates = (await view.log(since)).filter(({ name }) => name === 'tab-updated').length;
  assert.ok(updates < 200, `${updates} changes of a title that changes 10,000 times a second`);
  // It asks whether to stay; the embedder leaves.
  const left = view.caught((element, url) => element.navigateTo(url), world.site('one'));
  const asked = await Promise.race([left, view.until('modal-opened', ({ type }) => type === 'beforeunload', since).then(() => null)]);
  if (asked === null) await view.run((element) => element.respondToModal({ accept: true }));
  await left;
  await eventually(async () => (await view.caught((element) => element.page.url())).none === world.site('one'), 'another page');
});

behaviour('dialogs without end stop neither calls nor other tabs', member, async () => {
  const view = await embedded();
  await view.run((element, url) => element.navigateTo(url), world.site('alerts'));
  await view.until('modal-opened');
  const begun = Date.now();
  const stuck = await view.caught((element) => element.evaluate('1', { timeoutMs: 1_000 }));
  assert.ok(stuck.code && Date.now() - begun < 6_000, `${stuck.code} after ${Date.now() - begun} ms`);
  for (let n = 0; n < 3; n += 1) await view.caught((element) => element.dismissModal());
  await view.run((element, url) => element.createTab(url), world.site('one'));
  await eventually(async () => (await view.caught((element) => element.page.title())).none === 'One', 'another tab');
  await view.run((element) => element.closeTab(0));
  await view.run((element) => element.waitForTabCount(1));
});

behaviour('a page that hangs is timed out, and closed', member, async () => {
  const view = await embedded();
  await view.run((element, url) => element.navigateTo(url), world.site('hangs'));
  await new Promise((resolve) => setTimeout(resolve, 600));
  for (const act of [(element) => element.evaluate('1', { timeoutMs: 1_000 }), (element) => element.click('h1', { timeoutMs: 1_000 }), (element) => element.callApi('getPageText', { timeoutMs: 1_000 })]) {
    const begun = Date.now();
    const stuck = await view.caught(act);
    assert.ok(stuck.code, JSON.stringify(stuck));
    assert.ok(Date.now() - begun < 12_000, `${Date.now() - begun} ms`);
  }
  assert.equal(await view.run((element) => element.getTabCount()), 1, 'tabs are still told');
  await view.run((element, url) => element.createTab(url), world.site('one'));
  await eventually(async () => (await view.caught((element) => element.page.title())).none === 'One', 'another tab');
  await view.run((element) => element.closeTab(0));
  await view.run((element) => element.waitForTabCount(1, { timeoutMs: 8_000 }));
});

behaviour('blank, printed and full-screen pages', member, async () => {
  const view = await embedded();
  assert.equal((await view.run((element) => element.navigateTo('about:blank'))).ok, true);
  assert.equal(await view.run((element) => element.page.url()), 'about:blank');
  for (const url of ['chrome://settings', 'file:///etc/passwd', 'javascript:alert(1)', 'view-source:http://site.test', 'http://', 'devtools://x', `http://${'a'.repeat(70_000)}.test/`]) {
    const refused = await view.caught((element, wanted) => element.navigateTo(wanted, { timeoutMs: 4_000 }), url);
    assert.ok(refused.code, `${url.slice(0, 40)}: ${JSON.stringify(refused)}`);
  }
  await view.run((element) => element.evaluate('print(); 1'));
  assert.equal(await view.run((element) => element.getTabCount()), 1);
});

behaviour('embedders that send too much, too large, or nonsense', ['hostile remote page', 'ERR_UNSUPPORTED'], async () => {
  const view = await embedded();
  assert.equal((await view.caught((element) => element.callApi('noSuchMethod'))).code, 'ERR_UNSUPPORTED');
  for (const name of ['constructor', '__proto__', 'page.inspectAt', 'toString', '', 'a'.repeat(10_000)]) {
    assert.ok((await view.caught((element, method) => element.callApi(method), name)).code, name.slice(0, 40));
  }
  const large = await view.caught((element) => element.evaluate(`"${'x'.repeat(3_000_000)}".length`));
  assert.ok(large.code, 'three megabytes are too much');
  const answered = await view.run(async (element) => {
    const { contentWindow } = element.shadowRoot.querySelector('iframe');
    const origin = new URL(element.loginLink).origin;
    const odd = [null, 1, 'init', [], {}, { type: 1 }, { type: 'bbx-api-call' }, { type: 'bbx-api-call', requestId: {}, data: null }, { type: 'loadURL', data: { url: { a: 1 } } }, { type: 'bbx-ui-sync', data: { chromeMode: [] } }];
    for (let n = 0; n < 10_000; n += 1) contentWindow.postMessage(odd[n % odd.length], origin);
    return element.getTabCount();
  });
  assert.ok(answered >= 1);
  const many = await view.run((element) => Promise.allSettled(Array.from({ length: 200 }, () => element.page.title())));
  assert.ok(many.filter(({ status }) => status === 'fulfilled').length >= 60);
  assert.equal(typeof (await view.run((element) => element.page.title())), 'string');
});
