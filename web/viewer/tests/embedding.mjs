// The part of the server that only an embedded page meets: the login that leads to it, tokens for it, its policy, its calls.

const METHODS = [
  'getTabs',
  'getActiveTab',
  'getTabCount',
  'createTab',
  'closeTabById',
  'switchToTabById',
  'navigateTo',
];
const MORE = ['reload', 'click', 'evaluate', 'getPageTitle', 'getScreenMetrics', 'generalizeSelection', 'getPolicy'];

export class Embedding {
  /** Of the session's login: the cookie that it sets, and the entry that works once. */
  cookie = 'vitrine_page=cookie.secret';
  setsCookie = true;
  entries = new Set();
  tokens = new Set();
  lifeMs = 300_000;
  /** How each token was asked for, oldest first: `entry`, `bearer` or `cookie`. */
  trades = [];
  /** Why the session is over. */
  endReason = null;
  /** Who may frame the page by its content policy, and by what the page itself is told. */
  ancestors = ['*'];
  origins = ['http://localhost:*'];
  policy = {
    type: 'policy',
    methods: [...METHODS, ...MORE],
    policy: { schemaVersion: 1, policyVersion: 1, featureControls: null, apiCapabilities: { select: { use: true } } },
  };
  /** What calls are answered with: a value, or a function of the arguments that gives or throws it; `undefined` is silence. */
  answers = new Map();
  calls = [];
  #made = 0;
  #done = new Map();

  login(response, page, controls) {
    this.#made += 1;
    this.entries.add(`entry.${this.#made}`);
    if (this.setsCookie)
      response.setHeader('Set-Cookie', `${this.cookie}; HttpOnly; SameSite=None; Secure; Partitioned`);
    const query = controls === null ? '' : `?ui=${controls}`;
    response
      .writeHead(302, { Location: `${page}${query}#entry=entry.${this.#made}`, 'Referrer-Policy': 'no-referrer' })
      .end();
  }

  async trade(request, response) {
    const answer = (status, body) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    const body = Buffer.concat(await request.toArray()).toString();
    const bearer = request.headers.authorization?.slice('Bearer '.length);
    const entry = body ? JSON.parse(body).entry : undefined;
    const how = bearer ? 'bearer' : entry ? 'entry' : 'cookie';
    this.trades.push(how);
    if (this.endReason) return answer(401, { error: 'over', code: 'UNAUTHENTICATED', endReason: this.endReason });
    const good =
      (how === 'bearer' && this.tokens.has(bearer)) ||
      (how === 'entry' && this.entries.delete(entry)) ||
      (how === 'cookie' && (request.headers.cookie ?? '').includes(this.cookie));
    if (!good) return answer(401, { error: 'no', code: 'UNAUTHENTICATED' });
    this.#made += 1;
    const token = `page.${this.#made}`;
    this.tokens.add(token);
    return answer(200, { token, expiresAt: Date.now() + this.lifeMs, embeddingOrigins: this.origins });
  }

  /** The same `callId` is done once; who asks again gets the first answer. */
  answer(call, send) {
    this.calls.push(call);
    const { id, callId, method, args } = call;
    const result = this.#done.get(callId) ?? this.#result(method, args);
    if (callId !== undefined) this.#done.set(callId, result);
    if (result) send({ type: 'result', id, ...result });
  }

  #result(method, args) {
    const answer = this.answers.get(method);
    try {
      const value = typeof answer === 'function' ? answer(...args) : answer;
      return value === undefined ? null : { value };
    } catch (error) {
      return { error };
    }
  }
}
