// CAPTCHAs that stand in a document. Runs in an isolated world: the page cannot see or change it. Widgets are told by the
// frames, scripts and elements that their makers document; what a page says of itself is cut.
((found_max, text_max) => {
  const found = [];
  const cut = text => (text ? String(text).slice(0, text_max) : null);
  const add = (kind, siteKey, element, more) => {
    siteKey = cut(siteKey);
    const same = found.find(one => one.kind === kind && (one.siteKey === siteKey || !siteKey || !one.siteKey));
    const data = element ? element.dataset : {};
    const told = {
      kind, siteKey, action: cut(data.action), data: cut(data.s || data.cdata || data.rqdata || data.blob),
      invisible: data.size === 'invisible', ...more,
    };
    if (!same && found.length < found_max) found.push(told);
    else if (same) for (const name in told) same[name] ||= told[name];
  };
  const address = (element, name) => {
    try { return new URL(element.getAttribute(name), document.baseURI); } catch { return null; }
  };
  const at = (url, host) => url.hostname === host || url.hostname.endsWith('.' + host);
  const all = selector => [...document.querySelectorAll(selector)].slice(0, 50);

  for (const frame of all('iframe[src]')) {
    const url = address(frame, 'src');
    if (!url) continue;
    const hash = new URLSearchParams(url.hash.slice(1));
    const recaptcha = url.pathname.match(/^\/recaptcha\/(api2|enterprise)\/anchor$/);
    if (recaptcha) {
      const kind = recaptcha[1] === 'enterprise' ? 'recaptcha-enterprise' : 'recaptcha-v2';
      const v3 = all('script[src*="/recaptcha/"]').some(script => {
        const render = address(script, 'src')?.searchParams.get('render');
        return render && render === url.searchParams.get('k');
      });
      if (!v3 || kind === 'recaptcha-enterprise') {
        add(kind, url.searchParams.get('k'), null, {
          data: cut(url.searchParams.get('s')), invisible: url.searchParams.get('size') === 'invisible',
        });
      }
    } else if (at(url, 'hcaptcha.com')) {
      add('hcaptcha', hash.get('sitekey') || url.searchParams.get('sitekey'), null, { invisible: hash.get('size') === 'invisible' });
    } else if (at(url, 'challenges.cloudflare.com') && url.pathname.includes('/turnstile/')) {
      add('turnstile', url.pathname.split('/').find(part => /^[0-3]x[\w-]{10,}$/.test(part)), null);
    } else if (at(url, 'arkoselabs.com') || at(url, 'funcaptcha.com')) {
      add('arkose', url.searchParams.get('pk') || url.searchParams.get('public_key') || url.hash.slice(1).split('&')[0]
        || url.pathname.split('/').find(part => /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/i.test(part)), null);
    }
  }

  let enterprise = false;
  for (const script of all('script[src]')) {
    const url = address(script, 'src');
    if (!url) continue;
    const recaptcha = url.pathname.match(/^\/recaptcha\/(api|enterprise)\.js$/);
    if (recaptcha) {
      enterprise ||= recaptcha[1] === 'enterprise';
      const key = url.searchParams.get('render');
      if (key && !['explicit', 'onload'].includes(key)) {
        add(enterprise ? 'recaptcha-enterprise' : 'recaptcha-v3', key, null, { invisible: true });
      }
    } else if (at(url, 'arkoselabs.com') && /\/api\.js$/.test(url.pathname)) {
      add('arkose', url.pathname.split('/').find(part => /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/i.test(part)), null);
    } else if ((at(url, 'geetest.com') || at(url, 'geevisit.com')) && url.searchParams.get('captcha_id')) {
      add('geetest', url.searchParams.get('captcha_id'), null);
    } else if (at(url, 'awswaf.com') && /captcha|jsapi/.test(url.hostname + url.pathname)) {
      add('aws-waf', null, null);
    }
  }

  for (const element of all('.g-recaptcha[data-sitekey]')) {
    add(enterprise ? 'recaptcha-enterprise' : 'recaptcha-v2', element.dataset.sitekey, element);
  }
  for (const element of all('.h-captcha[data-sitekey]')) add('hcaptcha', element.dataset.sitekey, element);
  for (const element of all('.cf-turnstile[data-sitekey]')) add('turnstile', element.dataset.sitekey, element);
  for (const element of all('input[name="cf-turnstile-response"]')) add('turnstile', null, element);
  for (const element of all('#FunCaptcha, [data-pkey]')) add('arkose', element.dataset.pkey, element);
  for (const element of all('input[name="fc-token"]')) {
    add('arkose', element.value.split('|').find(part => part.startsWith('pk='))?.slice(3), element);
  }
  for (const element of all('.geetest_holder, .geetest_captcha, .geetest_btn, [data-captcha-id].geetest')) {
    add('geetest', element.dataset.captchaId, element);
  }
  for (const element of all('awswaf-captcha, #aws-waf-captcha')) add('aws-waf', element.dataset.key, element);
  return found;
})
