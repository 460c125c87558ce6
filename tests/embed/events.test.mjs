// The ways to hear of what happens: on and off, observers, and the async iterator.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { behaviour } from './behaviour.mjs';
import { startWorld } from './world.mjs';

let world;
let view;
before(async () => {
  world = await startWorld();
  view = await world.embed(await world.open(), await world.claim());
});
after(() => world?.stop());

behaviour('handlers come and go', ['on', 'off'], async () => {
  const seen = await view.run(async (element, urls) => {
    const seen = [];
    const first = ({ detail }) => seen.push(['first', detail.url]);
    const second = ({ detail }) => seen.push(['second', detail.url]);
    const leave = element.on('page.navigated', first);
    element.on('did-navigate', second);
    const moved = async (url) => {
      await element.navigateTo(url);
      await new Promise((resolve) => setTimeout(resolve, 300));
    };
    await moved(urls[0]);
    leave();
    await moved(urls[1]);
    element.off('did-navigate', second);
    await moved(urls[0]);
    return seen;
  }, [world.site('one'), world.site('two')]);
  assert.deepEqual(seen.sort(), [
    ['first', world.site('one')],
    ['second', world.site('one')],
    ['second', world.site('two')],
  ]);
});

behaviour('an observer hears what it asked for', ['observe'], async () => {
  const told = await view.run(async (element, url) => {
    const observer = element.observe({ types: ['page.navigated'] });
    const heard = [];
    observer.on((record) => heard.push(record));
    await element.navigateTo(url);
    await new Promise((resolve) => setTimeout(resolve, 300));
    observer.unsubscribe();
    await element.reload();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { id, config } = observer;
    return { id, config, off: typeof observer.off, heard: heard.map(({ type, detail }) => [type, detail.url]) };
  }, world.site('one'));
  assert.ok(told.id);
  assert.deepEqual(told.config.types, ['page.navigated']);
  assert.equal(told.off, 'function');
  assert.deepEqual(told.heard, [['page.navigated', world.site('one')]]);
});

behaviour('an iterator brings events as they come', ['events'], async () => {
  const records = await view.run(async (element, urls) => {
    const iterator = element.events({ types: ['page.navigated'] });
    const records = [];
    const reading = (async () => {
      for await (const record of iterator) {
        records.push(record);
        if (records.length === 2) break;
      }
    })();
    for (const url of urls) await element.navigateTo(url);
    await reading;
    return records;
  }, [world.site('one'), world.site('two')]);
  assert.deepEqual(records.map(({ detail }) => detail.url), [world.site('one'), world.site('two')]);
  for (const record of records) {
    assert.equal(record.type, 'page.navigated');
    for (const name of ['id', 'timestamp', 'sessionId', 'tabId']) assert.ok(record[name], name);
  }
  assert.notEqual(records[0].id, records[1].id);
});
