// What an embedder lays over the picture: its kinds, its content, its places, and that nothing harmful comes in with
// it.

import assert from 'node:assert/strict';
import { suite } from './browser.mjs';

suite('augment', (test) => {
  test('kinds and content are drawn, updated, listed and removed', async ({ run }) => {
    const result = await run(async ({ ready, link, frameOf, failure }) => {
      const element = await ready({ 'login-link': link, 'interaction-mode': 'full' });
      const root = () => frameOf(element).nextElementSibling.shadowRoot;
      const kinds = ['sidebar', 'toolbar', 'toast', 'highlight', 'custom', 'panel', 'note', 'badge'];
      const rect = { x: 1, y: 2, width: 3, height: 4 };
      const handles = kinds.map((kind) =>
        element.augment({ id: kind, kind, rect, title: 'T', content: { type: 'text', text: '<b>' } }),
      );
      const drawn = kinds.map((kind) => root().querySelector(`.${kind} .body`)?.textContent);
      const made = document.createElement('button');
      element.augment.update('panel', { content: made });
      element.augment.update('custom', { content: { type: 'json', value: { a: [1] } } });
      const pre = root().querySelector('.custom pre').textContent;
      const conflict = await failure((async () => element.augment({ id: 'panel', kind: 'panel' }))());
      const missing = await failure((async () => element.augment.update('none', {}))());
      const wrong = [];
      for (const spec of [
        null,
        'x',
        { kind: 'window' },
        { space: 'moon' },
        { kind: 'highlight' },
        { content: { type: 'script' } },
      ])
        wrong.push((await failure((async () => element.augment(spec))())).code);
      const before = element.augment.list().map(({ id, kind, space }) => [id, kind, space]);
      handles[0].remove();
      element.augment.remove('toolbar');
      return {
        drawn,
        pre,
        node: root().querySelector('.panel button:not(.close)') === made,
        conflict: conflict.code,
        missing: missing.code,
        wrong,
        before,
        after: element.augment.list().length,
        left: root().querySelectorAll('.augment').length,
      };
    });
    assert.deepEqual(result.drawn, Array(8).fill('<b>'));
    assert.equal(result.pre, '{\n  "a": [\n    1\n  ]\n}');
    assert.ok(result.node);
    assert.deepEqual([result.conflict, result.missing], ['ERR_CONFLICT', 'ERR_NOT_FOUND']);
    assert.deepEqual(result.wrong, Array(6).fill('ERR_INVALID_ARGUMENT'));
    assert.deepEqual(result.before, [
      ['sidebar', 'sidebar', 'session'],
      ['toolbar', 'toolbar', 'session'],
      ['toast', 'toast', 'session'],
      ['highlight', 'highlight', 'page'],
      ['custom', 'custom', 'viewport'],
      ['panel', 'panel', 'viewport'],
      ['note', 'note', 'page'],
      ['badge', 'badge', 'page'],
    ]);
    assert.deepEqual([result.after, result.left], [6, 6]);
  });

  test('what is anchored to the page follows it', async ({ run }) => {
    const result = await run(async ({ ready, link, say, frameOf, until }) => {
      const element = await ready({ 'login-link': link, 'interaction-mode': 'full' });
      const root = frameOf(element).nextElementSibling;
      const view = { scrollX: 0, scrollY: 100, width: 400, height: 200, zoom: 1 };
      element.augment({ kind: 'highlight', target: { selector: 'h1' }, maxMatches: 2 });
      element.augment({ kind: 'custom', space: 'viewport', rect: { x: 10, y: 20, width: 30, height: 40 } });
      say(element, 'page-viewport', { ...view, surface: { x: 8, y: 50, width: 200, height: 100 } });
      const base = element.getBoundingClientRect();
      const places = (selector) =>
        [...root.shadowRoot.querySelectorAll(selector)].map((box) => {
          const { x, y, width, height } = box.getBoundingClientRect();
          return [x - base.x, y - base.y, width, height];
        });
      const first = await until(
        () =>
          places('.highlight:not([hidden])').length === 2 && places('.highlight')[0][0] === 58 && places('.highlight'),
      );
      say(element, 'page-viewport', { ...view, scrollY: 200, surface: { x: 8, y: 50, width: 400, height: 200 } });
      const second = await until(() => places('.highlight')[0][0] === 108 && places('.highlight'));
      const later = await ready({ 'login-link': link, 'interaction-mode': 'full' });
      say(later, 'page-viewport', { ...view, surface: { x: 8, y: 50, width: 200, height: 100 } });
      await later.page.title();
      later.augment({ kind: 'badge', rect: { x: 0, y: 100, width: 10, height: 10 } });
      const badge = frameOf(later).nextElementSibling.shadowRoot.querySelector('.badge').parentElement;
      const { x, y } = badge.getBoundingClientRect();
      const origin = later.getBoundingClientRect();
      return { first, second, custom: places('.custom'), later: [x - origin.x, y - origin.y] };
    });
    // Half the size: x = 8 + 100/2, y = 50 + (200 - 100)/2.
    assert.deepEqual(result.first, [
      [58, 100, 25, 10],
      [58, 150, 25, 10],
    ]);
    assert.deepEqual(result.second, [
      [108, 50, 50, 20],
      [108, 150, 50, 20],
    ]);
    assert.deepEqual(result.custom, [[18, 70, 30, 40]]);
    assert.deepEqual(result.later, [8, 50]);
  });

  test('html is made harmless', async ({ run }) => {
    const result = await run(async ({ ready, link, frameOf, sleep }) => {
      const element = await ready({ 'login-link': link, 'interaction-mode': 'full' });
      const html = [
        '<p class="a" style="color: red" onclick="top.hit=1">kept <b>bold</b></p>',
        '<script>top.hit=1</script><style>*{display:none}</style><iframe src="/"></iframe><object data="/"></object>',
        '<img src="x" onerror="top.hit=1"><img src="data:image/svg+xml,<svg onload=1>"><img src="data:image/png;base64,AA==" alt="ok">',
        '<a href=" java\tscript:top.hit=1">bad</a><a href="https://example.com/" target="_top">good</a>',
        '<form action="https://evil.example/"><input name="password"><button formaction="javascript:1">go</button></form>',
        '<div style="background: url(https://evil.example/)">u</div><div style="position:fixed;inset:0">f</div>',
        '<div style="position:/**/fixed;inset:0">c</div>',
        '<svg><a xlink:href="javascript:1"><text>svg</text></a></svg><math><mi>m</mi></math><template><b>t</b></template>',
        '<base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=/"><link rel="stylesheet" href="/x.css">',
        '<x-foo onfocus=1 tabindex=0>custom</x-foo><textarea><b>t</textarea>',
        '<noscript><p title="</noscript><img src=x onerror=top.hit=1>"></noscript>',
      ].join('');
      element.augment({ id: 'x', content: { type: 'html', html } });
      await sleep(200);
      const body = frameOf(element).nextElementSibling.shadowRoot.querySelector('.body');
      return { html: body.innerHTML, hit: window.hit };
    });
    assert.equal(result.hit, undefined);
    assert.equal(
      result.html,
      '<p class="a" style="color: red;">kept <b>bold</b></p><img><img><img src="data:image/png;base64,AA==" alt="ok">' +
        '<a target="_blank" rel="noopener noreferrer">bad</a>' +
        '<a href="https://example.com/" target="_blank" rel="noopener noreferrer">good</a>' +
        '<button type="button">go</button><div>u</div><div>f</div><div>c</div>custom',
    );
  });

  test('a closed root, toasts that go, buttons that close, and the most at once', async ({ run }) => {
    const result = await run(async ({ ready, link, frameOf, until, failure }) => {
      const element = await ready({ 'login-link': link, policy: '{"augment":true}', 'augment-root': 'closed' });
      element.augment({ kind: 'toast', durationMs: 50 });
      const closed = frameOf(element).nextElementSibling.shadowRoot;
      await until(() => element.augment.list().length === 0);
      const other = await ready({ 'login-link': link, policy: '{"augment":true}' });
      other.augment({ kind: 'panel', closable: true });
      frameOf(other).nextElementSibling.shadowRoot.querySelector('.close').click();
      const left = other.augment.list().length;
      for (let at = 0; at < 100; at += 1) other.augment({});
      const most = (await failure((async () => other.augment({}))())).code;
      other.session.disconnect();
      return { closed, left, most, gone: other.augment.list().length };
    });
    assert.deepEqual(result, { closed: null, left: 0, most: 'ERR_CONFLICT', gone: 0 });
  });

  test('a person picks, or does not', async ({ run }) => {
    const result = await run(async ({ ready, link, rule, failure, heard }) => {
      const element = await ready({ 'login-link': link, 'interaction-mode': 'full' });
      rule(element, 'beginSelect', {
        times: 1,
        error: 'a selection is already active',
        code: 'ERR_NOT_READY',
        retriable: true,
      });
      const active = await failure(element.select());
      const selection = await element.select({ prompt: 'Pick', intent: 'link' });
      await selection.extract();
      await selection.preview();
      await selection.extract({ maxItems: 2 });
      await element.select.cancel().catch(() => {});
      const calls = (await heard(element))
        .filter(({ type }) => type === 'bbx-api-call')
        .map(({ data }) => [data.method, data.args]);
      return { active: active.code, calls };
    });
    const raw = { selector: 'a', selectors: ['a', 'p > a'], text: 'A link', href: null, htmlSnippet: '<a>' };
    assert.equal(result.active, 'ERR_NOT_READY');
    assert.deepEqual(result.calls, [
      ['beginSelect', [{}]],
      ['beginSelect', [{ prompt: 'Pick', intent: 'link' }]],
      ['extractSelection', [raw, {}]],
      ['generalizeSelection', [raw, { preview: true }]],
      ['extractSelection', [{ ...raw, selector: 'a, b' }, { maxItems: 2 }]],
      ['cancelSelect', []],
    ]);
  });
});
