// Tabs and navigation through the element, by the flat methods and the namespaces, and the events that they raise, in order.

import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

let world;
let view;
before(async () => {
  world = await startWorld();
  view = await world.embed(await world.open(), await world.claim());
});
after(() => world?.stop());
beforeEach(async () => {
  // A tab made first: a browser is never left without one.
  await view?.run(async (element) => {
    const { id } = await element.createTab('about:blank');
    for (const tab of await element.getTabs()) if (tab.id !== id) await element.closeTabById(tab.id);
  });
});

const tabs = () => view.run((element) => element.getTabs());
const urls = async () => (await tabs()).map(({ url }) => url);

behaviour('tabs are counted and described', ['getTabs', 'getTabCount', 'getActiveTabIndex', 'tabs.list', 'tabs.getActive'], async () => {
  await view.run((element, url) => element.navigateTo(url), world.site('icon'));
  await eventually(async () => (await tabs())[0].title === 'With an icon' && (await tabs())[0].faviconDataURI, 'a title and an icon');
  const [tab, ...more] = await tabs();
  assert.deepEqual(more, []);
  const { id, faviconDataURI, ...rest } = tab;
  assert.equal(typeof id, 'string');
  assert.match(faviconDataURI, /^data:image\//);
  assert.deepEqual(rest, {
    index: 0,
    active: true,
    url: world.site('icon'),
    title: 'With an icon',
    canGoBack: rest.canGoBack,
    canGoForward: false,
    loading: false,
    hasFavicon: true,
    isDefaultFavicon: false,
  });
  const answers = await view.run(async (element) => [
    await element.getTabCount(),
    await element.getActiveTabIndex(),
    (await element.tabs.list()).map((tab) => tab.id),
    (await element.tabs.getActive()).id,
  ]);
  assert.deepEqual(answers, [1, 0, [id], id]);
});

behaviour(
  'tabs are made, at the end of the list',
  ['createTab', 'createTabs', 'tabs.create', 'waitForTabCount', 'event tab-created', 'alias tab.created', 'event active-tab-changed', 'alias tab.activated'],
  async () => {
    const since = await view.mark();
    await view.run((element, url) => element.createTab(url), world.site('one'));
    await eventually(async () => (await urls())[1] === world.site('one'), 'the second tab');
    assert.deepEqual((await tabs()).map(({ active }) => active), [false, true]);
    const made = await view.until('tab-created', undefined, since);
    assert.deepEqual(made, await view.until('tab.created', undefined, since));
    assert.deepEqual([made.index, made.id], [1, (await tabs())[1].id]);
    const activated = await view.until('active-tab-changed', undefined, since);
    assert.deepEqual([activated.index, activated.id], [1, made.id]);
    await view.until('tab.activated', undefined, since);

    await view.run((element) => element.createTabs(2));
    await view.run((element) => element.waitForTabCount(4, { timeoutMs: 5_000 }));
    await view.run((element, url) => element.tabs.create({ url, active: false }), world.site('two'));
    await view.run((element) => element.waitForTabCount(5));
    const all = await tabs();
    assert.equal(all.filter(({ active }) => active).length, 1);
    assert.equal(all[4].active, false, 'a tab that is not activated');
    await eventually(async () => (await urls())[4] === world.site('two'), 'its address');
  },
);

behaviour(
  'tabs are closed by place and by id',
  ['closeTab', 'closeTabById', 'closeAllTabs', 'tabs.close', 'tabs.closeAll', 'event tab-closed', 'alias tab.closed', 'ERR_NOT_FOUND'],
  async () => {
    await view.run((element) => element.createTabs(4));
    await view.run((element) => element.waitForTabCount(5));
    const before = (await tabs()).map(({ id }) => id);
    const since = await view.mark();
    await view.run((element) => element.closeTab(1));
    await view.run((element, id) => element.closeTabById(id), before[2]);
    await view.run((element, id) => element.tabs.close(id), before[3]);
    await view.run((element) => element.waitForTabCount(2));
    assert.deepEqual((await tabs()).map(({ id }) => id), [before[0], before[4]]);
    await view.until('tab-closed', ({ id }) => id === before[3], since);
    const closed = (await view.log(since)).filter(({ name }) => name === 'tab-closed').map(({ detail }) => detail);
    assert.deepEqual(closed.map(({ id }) => id), before.slice(1, 4));
    assert.equal(closed[0].index, 1);
    await view.until('tab.closed', ({ id }) => id === before[1], since);
    assert.equal((await view.caught((element) => element.closeTabById('nothing'))).code, 'ERR_NOT_FOUND');
    assert.equal((await view.caught((element) => element.closeTab(99))).code, 'ERR_NOT_FOUND');
    await view.run((element) => element.tabs.closeAll());
    await eventually(async () => (await tabs()).length === 0, 'no tab');
    await view.run((element) => element.createTabs(2));
    await view.run((element) => element.closeAllTabs());
    await eventually(async () => (await tabs()).length === 0, 'no tab');
  },
);

behaviour('tabs are brought to the front', ['switchToTab', 'switchToTabById', 'tabs.activate'], async () => {
  await view.run((element) => element.createTabs(2));
  await view.run((element) => element.waitForTabCount(3));
  const ids = (await tabs()).map(({ id }) => id);
  const active = () => view.run((element) => element.getActiveTabIndex());
  await view.run((element) => element.switchToTab(0));
  await eventually(async () => (await active()) === 0, 'the first');
  await view.run((element, id) => element.switchToTabById(id), ids[2]);
  await eventually(async () => (await active()) === 2, 'the third');
  await view.run((element, id) => element.tabs.activate(id), ids[1]);
  await eventually(async () => (await active()) === 1, 'the second');
  await new Promise((resolve) => setTimeout(resolve, 300));
  const since = await view.mark();
  await view.run((element, id) => element.switchToTabById(id), ids[1]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const raised = (await view.log(since)).filter(({ name }) => name === 'active-tab-changed');
  assert.deepEqual(raised, [], 'the tab that is in front already raises nothing');
});

behaviour(
  'a navigation and its events, in order',
  ['navigateTo', 'page.navigate', 'event did-start-loading', 'event did-navigate', 'event did-stop-loading', 'event tab-updated', 'alias page.load.started', 'alias page.navigated', 'alias page.load.stopped', 'alias tab.updated'],
  async () => {
    const [{ id }] = await tabs();
    const since = await view.mark();
    const went = await view.run((element, url) => element.navigateTo(url), world.site('one'));
    assert.deepEqual([went.ok, went.url, went.tabId], [true, world.site('one'), id]);
    await view.until('did-stop-loading', undefined, since);
    await view.until('tab-updated', ({ title }) => title === 'One', since);
    const order = (await view.log(since)).filter(({ name }) => name.startsWith('did-') || name.startsWith('page.'));
    const first = (name) => order.findIndex((event) => event.name === name);
    assert.ok(first('did-start-loading') < first('did-navigate') && first('did-navigate') < first('did-stop-loading'), JSON.stringify(order));
    for (const [name, alias] of [
      ['did-start-loading', 'page.load.started'],
      ['did-navigate', 'page.navigated'],
      ['did-stop-loading', 'page.load.stopped'],
    ]) {
      assert.deepEqual(order[first(name)].detail, order[first(alias)].detail);
      assert.equal(order[first(name)].detail.tabId, id);
    }
    assert.equal(order[first('did-navigate')].detail.url, world.site('one'));
    const updated = await view.until('tab.updated', ({ title }) => title === 'One', since);
    assert.deepEqual([updated.id, updated.url], [id, world.site('one')]);

    await view.run((element, url) => element.page.navigate(url), world.site('redirect'));
    await eventually(async () => (await urls())[0] === world.site('one'), 'where the redirect leads');
  },
);

behaviour('any tab is navigated', ['navigateTab', 'waitForTabUrl'], async () => {
  await view.run((element) => element.createTab());
  await view.run((element) => element.waitForTabCount(2));
  await view.run((element, url) => element.navigateTab(0, url), world.site('two'));
  await view.run((element, url) => element.waitForTabUrl(0, { url, timeoutMs: 5_000 }), world.site('two'));
  assert.equal(await view.run((element) => element.getActiveTabIndex()), 1, 'the other one stays in front');
  assert.equal((await view.caught((element) => element.navigateTab(9, 'about:blank'))).code, 'ERR_NOT_FOUND');
});

behaviour('back, forward, reload and stop', ['goBack', 'goForward', 'reload', 'stop', 'page.back', 'page.forward', 'page.reload', 'page.stop'], async () => {
  await view.run((element, url) => element.navigateTo(url), world.site('one'));
  await view.run((element, url) => element.navigateTo(url), world.site('two'));
  const at = (path) => eventually(async () => (await urls())[0] === world.site(path), path);
  for (const names of [
    ['goBack', 'goForward', 'reload', 'stop'],
    ['back', 'forward', 'reload', 'stop'],
  ]) {
    const act = (index) => view.run((element, name) => (name in element ? element : element.page)[name](), names[index]);
    await act(0);
    await at('one');
    await act(1);
    await at('two');
    await view.run((element) => element.evaluate('globalThis.marked = true'));
    await act(2);
    await eventually(() => view.run((element) => element.evaluate('typeof marked === "undefined"')), 'a fresh page');
    void view.caught((element, url) => element.navigateTo(url, { timeoutMs: 3_000 }), world.site('never'));
    await eventually(async () => (await tabs())[0].loading, 'loading');
    await act(3);
    await eventually(async () => !(await tabs())[0].loading, 'stopped');
    await at('two');
  }
});

behaviour('the omnibox takes an address or words', ['submitOmnibox', 'act navigate'], async () => {
  await view.run((element, url) => element.submitOmnibox(url), world.site('one'));
  await eventually(async () => (await urls())[0] === world.site('one'), 'the address');
  await view.caught((element) => element.submitOmnibox('two plain words', { timeoutMs: 5_000 }));
  await eventually(async () => /two.+plain.+words/.test((await urls())[0]), 'a search');
  const done = await view.run((element, url) => element.act({ navigate: url }), world.site('two'));
  assert.deepEqual([done.ok, done.action], [true, 'navigate']);
  assert.equal(await view.run((element) => element.page.url()), world.site('two'));
});

behaviour('icons of tabs', ['getFavicons', 'waitForNonDefaultFavicon', 'page.favicon', 'event favicon-changed'], async () => {
  const since = await view.mark();
  await view.run((element, url) => element.navigateTo(url), world.site('icon'));
  await view.run((element) => element.waitForNonDefaultFavicon(0, { timeoutMs: 5_000 }));
  const [icon] = await view.run((element) => element.getFavicons());
  assert.match(JSON.stringify(icon), /data:image\//);
  assert.match(JSON.stringify(await view.run((element) => element.page.favicon())), /data:image\//);
  const changed = await view.until('favicon-changed', ({ faviconDataURI }) => faviconDataURI, since);
  assert.match(changed.faviconDataURI, /^data:image\//);
});

behaviour('a wrong argument is named so', ['ERR_INVALID_ARGUMENT', 'error status and retriable'], async () => {
  const refused = await view.caught((element) => element.navigateTo(''));
  assert.deepEqual([refused.name, refused.code, refused.retriable], ['BrowserBoxError', 'ERR_INVALID_ARGUMENT', false]);
  assert.deepEqual([refused.json.code, refused.json.message], [refused.code, refused.message]);
  assert.equal((await view.caught((element) => element.click(''))).code, 'ERR_INVALID_ARGUMENT');
});
