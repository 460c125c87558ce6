// What is closed until the embedder opens it: captures, augments and picking; and dialogs.

import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

const OPEN = { 'interaction-mode': 'full' };

let world;
let session;
let host;
before(async () => {
  world = await startWorld();
  session = await world.claim();
});
after(() => world?.stop());
afterEach(() => host?.context().close());

const shown = async (path, attributes = OPEN) => {
  host = await world.open();
  const view = await world.embed(host, session, attributes);
  await view.run((element, url) => element.navigateTo(url), world.site(path));
  return view;
};

/** Size and the colour at (8, 8) of a picture that is a data URL. */
const picture = (view, url) =>
  view.host.evaluate(async (source) => {
    const image = await createImageBitmap(await (await fetch(source)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
    canvas.drawImage(image, 0, 0);
    return { width: image.width, height: image.height, colour: [...canvas.getImageData(8, 8, 1, 1).data.slice(0, 3)] };
  }, url);

const GREEN = [0x0a, 0x7d, 0x33];
const alike = (colour, wanted) => colour.every((part, index) => Math.abs(part - wanted[index]) < 16);

behaviour('pictures of what is rendered', ['capture.frame', 'capture.viewport', 'attribute capture', 'attribute interaction-mode'], async () => {
  const view = await shown('form');
  for (const [name, format] of [
    ['frame', 'png'],
    ['frame', 'jpeg'],
    ['viewport', 'png'],
    ['viewport', 'webp'],
  ]) {
    const url = await view.run((element, [method, wanted]) => element.capture[method]({ format: wanted, quality: 80 }), [name, format]);
    assert.ok(url.startsWith(`data:image/${format};base64,`), url.slice(0, 40));
    const { width, height, colour } = await picture(view, url);
    assert.ok(width > 300 && height > 200, `${width} x ${height}`);
    assert.ok(alike(colour, GREEN), `${name} ${format}: ${colour}`);
  }
  const written = await world.embed(host, session, { capture: 'snapshot' }, { id: 'written' });
  assert.match(await written.run((element) => element.capture.frame()), /^data:image\//);
  const off = await world.embed(host, session, { ...OPEN, capture: 'off' }, { id: 'off' });
  assert.equal((await off.caught((element) => element.capture.frame())).code, 'ERR_POLICY_DENIED');
});

behaviour('the last decoded picture, read once', ['getFrame', 'frameCapture'], async () => {
  const view = await shown('form');
  const frame = await eventually(
    () =>
      view.run(async (element) => {
        const got = await element.getFrame();
        if (!got) return null;
        const { bytes, ...rest } = got;
        return { ...rest, length: bytes.byteLength ?? bytes.length };
      }),
    'a picture',
  );
  for (const name of ['seq', 'capturedAt', 'width', 'height']) assert.equal(typeof frame[name], 'number', name);
  for (const name of ['frameId', 'castSessionId', 'sessionId', 'targetId', 'mime']) assert.ok(name in frame, name);
  assert.ok(frame.length > 100);
  await view.run((element) => element.evaluate('document.body.style.background = "#00f"'));
  const again = await eventually(() => view.run(async (element) => (await element.frameCapture())?.seq), 'another picture');
  assert.ok(again > frame.seq);
});

behaviour(
  'augments are drawn over the picture, changed and taken away',
  ['augment', 'augment.update', 'augment.remove', 'augment.list', 'augment handle', 'attribute augment-root', ...['sidebar', 'toolbar', 'toast', 'highlight', 'custom'].map((kind) => `augment kind ${kind}`)],
  async () => {
    const view = await shown('form');
    assert.equal(await view.run((element) => element.getAttribute('augment-root') ?? 'open'), 'open');
    for (const kind of ['sidebar', 'toolbar', 'toast', 'highlight', 'custom']) {
      const id = await view.run((element, wanted) => {
        globalThis.handle = element.augment({
          kind: wanted,
          title: 'Notice',
          rect: { x: 20, y: 20, width: 200, height: 60 },
          content: { type: 'text', text: `Words of ${wanted}` },
        });
        return handle.id;
      }, kind);
      const listed = await view.run((element) => element.augment.list());
      assert.deepEqual(listed.map((augment) => augment.id), [id]);
      assert.equal(listed[0].kind, kind);
      if (kind !== 'highlight') await host.getByText(`Words of ${kind}`).waitFor();
      await view.run(() => void handle.update({ content: { type: 'text', text: 'Other words' } }));
      if (kind !== 'highlight') await host.getByText('Other words').waitFor();
      await view.run((element, known) => void element.augment.update(known, { title: 'Once more' }), id);
      await (kind === 'toast' ? view.run((element, known) => element.augment.remove(known), id) : view.run(() => handle.remove()));
      assert.deepEqual(await view.run((element) => element.augment.list()), []);
      await host.getByText('Other words').waitFor({ state: 'detached' });
    }
    const hidden = await world.embed(host, session, { ...OPEN, 'augment-root': 'closed' }, { id: 'hidden' });
    await hidden.run((element) => void element.augment({ kind: 'toast', content: { type: 'text', text: 'Unseen' } }));
    const seen = await hidden.run((element) => {
      const text = (root) => [...root.querySelectorAll('*')].map((node) => node.textContent + (node.shadowRoot ? text(node.shadowRoot) : '')).join();
      return text(element.shadowRoot ?? element);
    });
    assert.ok(!seen.includes('Unseen'), 'a closed root is not looked into');
  },
);

behaviour('content of augments is text, JSON, or html without teeth', ['augment content text', 'augment content html', 'augment content json'], async () => {
  const view = await shown('form');
  const put = (content) => view.run((element, wanted) => void element.augment({ kind: 'panel', content: wanted }), content);
  await put({ type: 'text', text: '<b>not bold</b>' });
  await host.getByText('<b>not bold</b>').waitFor();
  await put({ type: 'json', json: { answer: 42 } });
  await host.getByText(/"answer": 42/).waitFor();
  const evil = `<b id="bold">bold</b><script>globalThis.bad = 1</script><img src="x" onerror="globalThis.bad = 2">
    <a id="link" href="javascript:globalThis.bad = 3">link</a><iframe src="javascript:parent.bad = 4"></iframe>
    <svg onload="globalThis.bad = 5"><script>globalThis.bad = 6</script></svg><form action="https://evil.test"><input name="a"></form>
    <p style="background:url(https://evil.test/x)">styled</p><math><mtext><style><img src=x onerror="globalThis.bad = 7"></style></mtext></math>`;
  await put({ type: 'html', html: evil });
  await host.getByText('bold', { exact: true }).waitFor();
  await host.getByText('link', { exact: true }).click();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(await host.evaluate(() => globalThis.bad), undefined);
  const left = await view.run((element) => {
    const all = (root) => [...root.querySelectorAll('*')].flatMap((node) => [node, ...(node.shadowRoot ? all(node.shadowRoot) : [])]);
    return all(element.shadowRoot).map((node) => node.localName);
  });
  assert.equal(left.filter((name) => name === 'iframe').length, 1, 'the session alone');
  assert.ok(!left.includes('script'));
});

behaviour('an augment that belongs to the page follows it', ['augment anchored to the page'], async () => {
  const view = await shown('long');
  await view.run((element) =>
    void element.augment({ kind: 'badge', space: 'page', target: { selector: '#part1' }, content: { type: 'text', text: 'Anchored' } }),
  );
  const mark = host.getByText('Anchored');
  const top = async () => (await mark.boundingBox())?.y;
  await eventually(top, 'the mark');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = await top();
  await view.run((element) => element.evaluate('scrollTo(0, 300)'));
  await eventually(async () => Math.abs((await top()) - before) > 50, 'it follows the scrolling');
});

/** Where an element of the remote page is in the embedder's page. */
async function place(view, selector) {
  const { matches } = await view.run((element, wanted) => element.callApi('resolvePageTarget', { selector: wanted }), selector);
  const metrics = await view.run((element) => element.getScreenMetrics());
  const frame = await view.frame(session);
  const surface = await frame.locator('#surface').boundingBox();
  const scale = surface.width / metrics.width;
  const [{ x, y, width, height }] = matches;
  return [surface.x + (x - metrics.scrollX + width / 2) * scale, surface.y + (y - metrics.scrollY + height / 2) * scale];
}

behaviour('a person picks an element', ['select', 'select getRaw', 'select preview', 'select extract', 'generalizeSelection', 'extractSelection', 'ERR_CONFLICT'], async () => {
  const view = await shown('list');
  await view.run((element) => element.waitForSelector('.item a'));
  const picked = view.run(async (element) => {
    globalThis.selection = await element.select({ prompt: 'Pick an item', intent: 'extract' });
    return selection.getRaw();
  });
  const frame = await view.frame(session);
  await frame.getByText('Pick an item').waitFor();
  const second = await view.caught((element) => element.callApi('beginSelect', { prompt: 'Another' }));
  assert.ok(['ERR_NOT_READY', 'ERR_CONFLICT'].includes(second.code), JSON.stringify(second));
  const [x, y] = await place(view, '.item:nth-child(3) a');
  await host.mouse.move(x, y);
  await host.mouse.move(x + 1, y);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await host.mouse.click(x, y);
  const raw = await picked;
  assert.equal(raw.text.trim(), 'Item 2');
  assert.equal(raw.href, world.site('form?item=2'));
  assert.match(raw.htmlSnippet, /Item 2/);
  assert.ok(raw.selectors.includes(raw.selector));
  assert.equal(await view.run((element, selector) => element.evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`), raw.selector), 1);
  const preview = await view.run(() => selection.preview());
  assert.equal(preview.count, 10, JSON.stringify(preview).slice(0, 300));
  const extracted = await view.run(() => selection.extract());
  assert.equal(extracted.items.length, 10);
  assert.equal(extracted.items[4].href, world.site('form?item=4'));
  const general = await view.run((element, target) => element.callApi('generalizeSelection', target), raw);
  assert.equal(general.count, 10);
  const some = await view.run((element, target) => element.callApi('extractSelection', target, { maxItems: 4 }), { selector: general.selector });
  assert.deepEqual(some.items.map(({ text }) => text.trim()), ['Item 0', 'Item 1', 'Item 2', 'Item 3']);
  const given = view.caught((element) => element.select({ prompt: 'Never mind' }));
  await frame.getByText('Never mind').waitFor();
  await host.keyboard.press('Escape');
  assert.ok((await given).code, 'a pick that is given up is an error');
});

behaviour(
  'dialogs of the page are the embedder’s to answer',
  ['getCurrentModal', 'respondToModal', 'dismissModal', 'event modal-opened', 'event modal-updated', 'event modal-closed'],
  async () => {
    const view = await shown('dialogs');
    assert.equal(await view.run((element) => element.getCurrentModal()), null);
    let since = await view.mark();
    await view.caught((element) => element.click('#prompt', { timeoutMs: 2_000 }));
    const opened = await view.until('modal-opened', undefined, since);
    assert.deepEqual([opened.type, opened.message, opened.defaultValue], ['prompt', 'Which number?', '7']);
    const current = await view.run((element) => element.getCurrentModal());
    assert.deepEqual([current.id, current.type], [opened.id, 'prompt']);
    await view.run((element) => element.respondToModal({ accept: true, text: '42' }));
    await view.until('modal-closed', ({ id }) => id === opened.id, since);
    await eventually(async () => (await view.run((element) => element.page.title())) === 'prompt 42', 'the answer');
    since = await view.mark();
    await view.caught((element) => element.click('#confirm', { timeoutMs: 2_000 }));
    await view.until('modal-opened', undefined, since);
    await view.run((element) => element.dismissModal());
    await eventually(async () => (await view.run((element) => element.page.title())) === 'confirm false', 'the dismissal');
    const none = await view.caught((element) => element.respondToModal({ accept: true }));
    assert.ok(none.code, 'there is none to answer');
    // Chromium never changes an open dialog; one after another of the same tab is told as an update or as a new one.
    assert.ok((await view.log()).some(({ name }) => name === 'modal-opened' || name === 'modal-updated'));
  },
);

behaviour('a clean slate', ['cleanSlate'], async () => {
  const view = await shown('form');
  await view.run((element) => element.evaluate('document.cookie = "kept=1"; localStorage.kept = 1'));
  await view.run((element) => element.createTabs(2));
  const slate = await view.run((element, url) => element.cleanSlate(url), world.site('one'));
  assert.deepEqual([slate.ok, slate.url], [true, world.site('one')]);
  for (const name of ['targetId', 'sessionId', 'warmed', 'ackBlastCount']) assert.ok(name in slate, name);
  assert.equal(await view.run((element) => element.getTabCount()), 1);
  await view.run((element, url) => element.navigateTo(url), world.site('two'));
  assert.equal(await view.run((element) => element.evaluate('document.cookie + (localStorage.kept ?? "")')), '');
});
