// What goes wrong around a session: servers that restart, networks that are cut, elements that move, several of everything.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, afterEach, before } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { behaviour } from './behaviour.mjs';
import { eventually, serveEmbedder, startWorld } from './world.mjs';

const CUT_MS = 20_000;

/** A way to the server that can be cut: nothing passes and nothing is said about it. */
async function way() {
  const pairs = new Set();
  let target;
  let broken = false;
  const server = createServer((client) => {
    const upstream = connect(target);
    pairs.add([client, upstream]);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ]) {
      from.on('data', (bytes) => broken || to.write(bytes));
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    to: (base) => (target = { host: '127.0.0.1', port: Number(new URL(base).port) }),
    cut: () => (broken = true),
    /** What was open is lost, as after a router restarted. */
    mend() {
      broken = false;
      for (const sockets of pairs) sockets.forEach((socket) => socket.destroy());
      pairs.clear();
    },
    close() {
      this.mend();
      server.close();
    },
  };
}

let world;
let cable;
let host;
before(async () => {
  cable = await way();
  world = await startWorld({ VITRINE_PUBLIC_URL: cable.base });
  cable.to(world.server.base);
});
after(async () => {
  await world?.stop();
  cable?.close();
});
afterEach(() => host?.context().close());

/** The picture on the embedder's page moves on: a colour that the remote page takes is seen. */
async function paints(view, session, colour) {
  await view.run((element, wanted) => element.evaluate(`document.documentElement.style.background = document.body.style.background = '${wanted}'; 1`), colour);
  const frame = await view.frame(session);
  await eventually(
    () =>
      frame.evaluate((wanted) => {
        const canvas = document.querySelector('#picture');
        if (!canvas?.width) return false;
        const [red, , blue] = canvas.getContext('2d').getImageData(canvas.width - 20, canvas.height - 20, 1, 1).data;
        return wanted === 'red' ? red > 200 && blue < 60 : blue > 200 && red < 60;
      }, colour),
    `a ${colour} picture`,
  );
}

behaviour('two elements on one page are two', ['two elements on one page'], async () => {
  const sessions = [await world.claim(), await world.claim()];
  host = await world.open();
  const views = [];
  for (const [index, session] of sessions.entries()) views.push(await world.embed(host, session, { height: '300' }, { id: `view${index}` }));
  await Promise.all(views.map((view, index) => view.run((element, url) => element.navigateTo(url), world.site(['one', 'two'][index]))));
  assert.deepEqual(await Promise.all(views.map((view) => view.run((element) => element.page.title()))), ['One', 'Two']);
  assert.ok((await views[0].log()).every(({ detail }) => !detail?.url?.endsWith('/two')));
  for (const session of sessions) await world.release(session);
});

behaviour('one session in two elements is one browser', ['one session in two elements'], async () => {
  const session = await world.claim();
  host = await world.open();
  const first = await world.embed(host, session, { height: '300' }, { id: 'first' });
  const second = await world.embed(host, session, { height: '300' }, { id: 'second' });
  await first.run((element, url) => element.navigateTo(url), world.site('one'));
  await second.until('did-navigate', ({ url }) => url === world.site('one'));
  assert.equal(await second.run((element) => element.page.title()), 'One');
  await first.run((element) => element.remove());
  await second.run((element, url) => element.navigateTo(url), world.site('two'));
  await world.release(session);
  await second.until('sos');
});

behaviour('an element that is moved or put back works', ['element moved and removed'], async () => {
  const session = await world.claim();
  host = await world.open();
  const view = await world.embed(host, session);
  await view.run((element, url) => element.navigateTo(url), world.site('one'));
  // What is under way is made again where it was, once.
  const pending = view.caught((element) => element.waitForSelector('#never', { timeoutMs: 6_000 }));
  await pause(200);
  const since = await view.mark();
  await host.evaluate(() => {
    const place = document.body.appendChild(document.createElement('section'));
    place.append(document.querySelector('#bbx'));
  });
  await view.run((element) => element.whenReady({ timeoutMs: 20_000 }));
  assert.equal(await view.run((element) => element.page.title()), 'One', 'the browser goes on');
  assert.equal((await pending).none, false);
  const lost = view.caught((element) => element.waitForSelector('#never', { timeoutMs: 20_000 }));
  await pause(200);
  await host.evaluate(() => {
    globalThis.kept = document.querySelector('#bbx');
    kept.remove();
  });
  assert.equal((await lost).code, 'ERR_TRANSPORT', 'who is removed has nothing under way');
  await pause(500);
  await host.evaluate(() => document.body.append(kept));
  await view.run((element) => element.whenReady({ timeoutMs: 20_000 }));
  assert.equal(await view.run((element) => element.getTabCount()), 1);
  assert.ok((await view.mark()) > since);
  await world.release(session);
});

behaviour('a network that is cut for 20 s', ['network cut'], async () => {
  const session = await world.claim();
  host = await world.open();
  const view = await world.embed(host, session);
  await view.run((element, url) => element.navigateTo(url), world.site('one'));
  await paints(view, session, 'red');
  cable.cut();
  await pause(CUT_MS);
  cable.mend();
  await eventually(async () => !(await view.caught((element) => element.page.title())).code, 'calls are answered again', 60_000);
  assert.equal(await view.run((element) => element.page.title()), 'One');
  await paints(view, session, 'blue');
  await world.release(session);
});

behaviour('a server that is killed and comes back', ['server restarted mid-session'], async () => {
  const session = await world.claim();
  host = await world.open();
  const view = await world.embed(host, session);
  await view.run((element, url) => element.navigateTo(url), world.site('one'));
  await view.run((element, url) => element.createTab(url), world.site('two'));
  await view.run((element) => element.waitForTabCount(2));
  const tabs = () => view.run(async (element) => (await element.getTabs()).map(({ id, url }) => `${id} ${url}`).sort());
  const before = await tabs();
  const balance = (await world.ask('GET', '/api/v1/balance')).body;
  await world.server.crash();
  await pause(2_000);
  await world.server.start();
  await eventually(async () => (await view.caught((element) => element.getTabCount())).none === 2, 'calls are answered again', 60_000);
  assert.deepEqual(await tabs(), before, 'tabs are kept');
  await paints(view, session, 'red');
  assert.deepEqual((await world.ask('GET', '/api/v1/balance')).body, balance);
  // A page that is loaded now, with the same link, is let in too.
  const late = await world.embed(host, session, {}, { id: 'late' });
  assert.equal(await late.run((element) => element.getTabCount()), 2);
  await world.release(session);
});

behaviour('a session that ends says so', ['event sos', 'event usability-changed'], async () => {
  const session = await world.claim();
  host = await world.open();
  const view = await world.embed(host, session);
  await world.release(session);
  const { reasonCode, message } = await view.until('sos');
  assert.ok(reasonCode && message, `${reasonCode} ${message}`);
  await view.until('usability-changed', ({ usable }) => !usable);
});

behaviour('messages of others are not heard', ['messages from a stranger refused'], async () => {
  const session = await world.claim();
  const stranger = await serveEmbedder(`${world.server.base}/browserbox-webview.js`, '127.0.0.1');
  try {
    host = await world.open();
    const view = await world.embed(host, session);
    const since = await view.mark();
    // To the element: from its own page, and from a frame of another origin.
    await host.evaluate(async (address) => {
      const frame = document.body.appendChild(document.createElement('iframe'));
      frame.src = address;
      await new Promise((resolve) => (frame.onload = resolve));
      const forged = { type: 'sos', data: { reasonCode: 'forged', message: 'forged', retryUrl: 'https://evil.test' } };
      postMessage(forged, '*');
      postMessage({ ...forged, type: 'bbx-sos' }, '*');
      postMessage({ type: 'bbx-policy-sync', data: { policy: { schemaVersion: 1, policyVersion: 99, apiCapabilities: { capture: { frame: true } } } } }, '*');
    }, stranger.origin);
    const frame = host.frames().find((each) => each.url().startsWith(stranger.origin));
    const heard = await frame.evaluate(async () => {
      const heard = [];
      addEventListener('message', ({ data }) => heard.push(data));
      parent.postMessage({ type: 'bbx-policy-sync', data: { policy: {} } }, '*');
      parent.postMessage({ type: 'tab-created', data: { index: 7, id: 'forged', url: 'https://evil.test' } }, '*');
      // To the session's page: it has one parent, and this is not it.
      for (let index = 0; index < parent.length; index += 1) {
        const each = parent[index];
        if (each === self) continue;
        each.postMessage({ type: 'init' }, '*');
        each.postMessage({ type: 'bbx-api-call', requestId: 'stranger', data: { method: 'getTabs', args: [] } }, '*');
        each.postMessage({ type: 'createTab', data: { url: 'https://evil.test' } }, '*');
      }
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return heard;
    });
    assert.deepEqual(heard, [], 'the session answers no stranger');
    const events = await view.log(since);
    const believed = events.filter(({ name, detail }) => ['sos', 'policy.changed'].includes(name) || /evil|forged/.test(JSON.stringify(detail)));
    assert.deepEqual(believed, []);
    assert.equal(await view.run((element) => element.getTabCount()), 1);
    assert.equal((await view.run((element) => element.policy.get())).apiCapabilities.capture.frame, false);
  } finally {
    stranger.close();
    await world.release(session);
  }
});
