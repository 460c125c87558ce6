// Gives a page the answer, as its widget would: the fields that forms send, the functions that scripts ask, the callback
// that the page named. Runs in the page's own world, on its document, where everything may have been tampered with.
function (kind, siteKey, token, fields) {
  const document = this, page = this.defaultView;
  const names = {
    'recaptcha-v2': ['g-recaptcha-response'], 'recaptcha-v3': ['g-recaptcha-response'],
    'recaptcha-enterprise': ['g-recaptcha-response'], 'hcaptcha': ['h-captcha-response', 'g-recaptcha-response'],
    'turnstile': ['cf-turnstile-response', 'g-recaptcha-response'], 'arkose': ['fc-token', 'verification-token'],
    'geetest': [], 'aws-waf': [],
  }[kind];
  const containers = {
    'recaptcha-v2': '.g-recaptcha', 'recaptcha-enterprise': '.g-recaptcha', 'hcaptcha': '.h-captcha',
    'turnstile': '.cf-turnstile', 'arkose': '#FunCaptcha, [data-pkey]', 'geetest': '.geetest_captcha, .geetest_holder',
    'aws-waf': 'awswaf-captcha, #aws-waf-captcha',
  }[kind];
  let taken = 0;
  const fill = (field, value) => {
    const kind = field instanceof page.HTMLTextAreaElement ? page.HTMLTextAreaElement : page.HTMLInputElement;
    Object.getOwnPropertyDescriptor(kind.prototype, 'value').set.call(field, value);
    for (const event of ['input', 'change']) field.dispatchEvent(new page.Event(event, { bubbles: true }));
    taken += 1;
  };
  const named = name => [...document.querySelectorAll('textarea, input')].filter(
    field => field.name === name || field.id === name || field.id.startsWith(name + '-'));
  const container = containers && [...document.querySelectorAll(containers)].find(
    one => !siteKey || !one.dataset.sitekey || one.dataset.sitekey === siteKey);

  const values = [...names.map(name => [name, token]), ...Object.entries(fields)];
  values.forEach(([name, value], index) => {
    const present = named(name);
    present.forEach(field => fill(field, value));
    // A widget that is not drawn yet has not made the field that the form will send.
    if (!present.length && container && (index === 0 || name in fields)) {
      const field = document.createElement('input');
      Object.assign(field, { type: 'hidden', name });
      container.append(field);
      fill(field, value);
    }
  });

  const api = { 'hcaptcha': page.hcaptcha, 'turnstile': page.turnstile }[kind]
    ?? (kind.startsWith('recaptcha') ? page.grecaptcha?.enterprise ?? page.grecaptcha : undefined);
  if (api && token) {
    try { api.getResponse = () => token; } catch {}
    if (kind === 'recaptcha-v3' || kind === 'recaptcha-enterprise') {
      try { api.execute = () => Promise.resolve(token); taken += 1; } catch {}
    }
  }

  const callbacks = new Set();
  const resolve = path => typeof path === 'function' ? path : String(path).split('.').reduce((of, name) => of?.[name], page);
  if (container?.dataset.callback) callbacks.add(resolve(container.dataset.callback));
  // reCAPTCHA keeps what `render` was given a few levels down, under names that change.
  const search = (of, depth) => {
    if (!of || typeof of !== 'object' || depth > 4 || of instanceof page.Node || of === page) return;
    if (of.callback && (!siteKey || of.sitekey === siteKey)) callbacks.add(resolve(of.callback));
    for (const name of Object.keys(of).slice(0, 100)) search(of[name], depth + 1);
  };
  if (kind.startsWith('recaptcha')) search(page.___grecaptcha_cfg?.clients, 0);
  for (const callback of callbacks) {
    if (typeof callback === 'function') {
      taken += 1;
      // Later: what the page does then must not hold up the one who answers.
      page.setTimeout(callback, 0, token);
    }
  }
  return taken;
}
