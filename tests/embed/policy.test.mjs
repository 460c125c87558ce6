// Policies: what the server issues, what an embedder takes away, what travels past the element, and what changes mid-session.

import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { behaviour } from './behaviour.mjs';
import { eventually, startWorld } from './world.mjs';

let world;
let host;
let session;
before(async () => {
  world = await startWorld();
});
after(() => world?.stop());
afterEach(async () => {
  await host?.context().close();
  if (session) await world.release(session);
});

async function embedded(wish, attributes = {}) {
  session = await world.claim(wish);
  host = await world.open();
  return world.embed(host, session, attributes);
}

/** A call past the element, as a forger would send it. */
const forged = (view, method, ...args) =>
  view.run(
    (element, [name, values]) =>
      new Promise((resolve) => {
        const requestId = `forged-${Math.random()}`;
        addEventListener('message', function listen({ data }) {
          if (data?.requestId !== requestId) return;
          removeEventListener('message', listen);
          resolve(data);
        });
        const { contentWindow } = element.shadowRoot.querySelector('iframe');
        contentWindow.postMessage({ type: 'bbx-api-call', requestId, data: { method: name, args: values } }, new URL(element.loginLink).origin);
      }),
    [method, args],
  );

behaviour('the effective policy is told', ['policy.get', 'session.capabilities'], async () => {
  const view = await embedded();
  const [policy, capabilities] = await view.run(async (element) => [await element.policy.get(), await element.session.capabilities()]);
  assert.equal(policy.schemaVersion, 1);
  for (const name of ['policyProfile', 'policyId', 'baselineId', 'policyVersion', 'issuedAt', 'updatedAt']) assert.ok(name in policy, name);
  assert.equal(policy.apiCapabilities.tabs.read, true);
  assert.equal(policy.apiCapabilities.capture.frame, false, 'closed until the embedder opens it');
  assert.deepEqual(capabilities, policy.apiCapabilities);
});

behaviour(
  'the server enforces what it issued, whatever the client sends',
  ['policy enforced by the server', 'session field policy', 'ERR_POLICY_DENIED', 'event policy-denied', 'alias policy.denied'],
  async () => {
    const policy = { apiCapabilities: { act: { evaluate: false } }, urls: { deny: ['other.test'] } };
    const view = await embedded({ policy }, { 'interaction-mode': 'full' });
    const denied = await view.caught((element) => element.evaluate('1'));
    assert.deepEqual([denied.name, denied.code, denied.status, denied.retriable], ['BrowserBoxPolicyError', 'ERR_POLICY_DENIED', 403, false]);
    const past = await forged(view, 'evaluate', '1');
    assert.deepEqual([past.code, past.status, past.retriable], ['ERR_POLICY_DENIED', 403, false]);
    assert.equal(typeof past.error, 'string');

    const since = await view.mark();
    const blocked = await view.caught((element, url) => element.navigateTo(url), world.other('form'));
    assert.ok(blocked.code, JSON.stringify(blocked));
    const told = await view.until('policy-denied', ({ url }) => url?.includes('other.test'), since);
    assert.equal(typeof told.reason, 'string');
    await view.until('policy.denied', ({ url }) => url?.includes('other.test'), since);
    // The page's own ways are no way around: a frame, a link, a redirect.
    const own = await view.mark();
    await view.run((element, url) => element.navigateTo(url), world.site('leave'));
    await view.until('policy-denied', ({ url }) => url?.includes('other.test'), own);
    const linked = await view.mark();
    await view.run((element) => element.click('#link'));
    await view.until('policy-denied', ({ url }) => url?.includes('other.test'), linked);
    assert.equal((await view.caught((element, url) => element.navigateTo(url), world.site('away'))).code, 'ERR_POLICY_DENIED');
    assert.ok(!(await view.run((element) => element.page.url())).includes('other.test'));
  },
);

behaviour('an embedder can only take away', ['policy restricted by the embedder', 'attribute policy', 'attribute interaction-mode'], async () => {
  const view = await embedded({ policy: { capture: { frame: false } } }, { 'interaction-mode': 'full', policy: '{"apiCapabilities":{"page":{"navigate":false}}}' });
  const [capabilities] = await view.run(async (element) => [await element.session.capabilities()]);
  assert.deepEqual([capabilities.capture.frame, capabilities.page.navigate, capabilities.select.use], [false, false, true]);
  assert.equal((await view.caught((element) => element.capture.frame())).code, 'ERR_POLICY_DENIED');
  assert.equal((await view.caught((element) => element.page.navigate('about:blank'))).code, 'ERR_POLICY_DENIED');
});

behaviour('view-only is enforced on the server too', ['policy enforced by the server', 'attribute interaction-mode'], async () => {
  const view = await embedded({}, {});
  await view.run((element, url) => element.navigateTo(url), world.site('form'));
  await view.run((element) => element.setAttribute('interaction-mode', 'view-only'));
  assert.equal((await view.caught((element) => element.click('#send'))).code, 'ERR_POLICY_DENIED');
  assert.equal(await view.run((element) => element.page.title()), 'A form', 'reading goes on');
  const past = await eventually(async () => {
    const answer = await forged(view, 'click', '#send');
    return answer.code && answer;
  }, 'the server refuses too');
  assert.equal(past.code, 'ERR_POLICY_DENIED');
  // The person's own hands are off: a click on the picture does nothing.
  const frame = await view.frame(session);
  const surface = await frame.locator('#surface').boundingBox();
  for (let y = 40; y < 200; y += 20) await host.mouse.click(surface.x + 60, surface.y + y);
  await view.run((element) => element.setAttribute('interaction-mode', 'limited'));
  await eventually(async () => !(await view.caught((element) => element.click('#send'))).code, 'hands are back');
  assert.equal((await view.caught((element) => element.evaluate('1'))).code, 'ERR_POLICY_DENIED');
  assert.equal((await view.caught((element) => element.createTab())).code, 'ERR_POLICY_DENIED');
  assert.equal(await view.run((element) => element.page.title()), 'Sent 1', 'one click in all');
});

behaviour(
  'a policy that changes mid-session arrives at once',
  ['PATCH /api/v1/sessions/:id', 'bbx-policy-sync', 'event policy.changed', 'alias policy.changed'],
  async () => {
    const view = await embedded();
    const first = await view.run((element) => element.policy.get());
    const since = await view.mark();
    const answer = await world.ask('PATCH', `/api/v1/sessions/${session.id}`, { body: { policy: { tabs: { write: false } } } });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const { reason, policy, capabilities } = await view.until('policy.changed', (detail) => detail.capabilities?.tabs?.write === false, since);
    assert.ok(reason);
    assert.ok(policy.policyVersion > first.policyVersion);
    assert.equal(policy.issuedAt, first.issuedAt);
    assert.equal(capabilities.tabs.read, true);
    assert.equal((await view.caught((element) => element.createTab())).code, 'ERR_POLICY_DENIED');
    assert.equal((await forged(view, 'createTab')).code, 'ERR_POLICY_DENIED');
    await world.ask('PATCH', `/api/v1/sessions/${session.id}`, { body: { policy: { tabs: { write: true } } } });
    await view.until('policy.changed', (detail) => detail.capabilities?.tabs?.write === true, since);
    await view.run((element) => element.createTab());
  },
);
