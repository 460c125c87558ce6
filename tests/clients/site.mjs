// A small site with what sessions meet: motion, many resources, a login, a download, and a page that asks the browser who it is.

const page = (title, body) => `<!doctype html><meta charset="utf-8"><title>${title}</title>${body}`;

/** Path and size of each resource of /resources: 50 with the page itself. */
export const RESOURCES = Array.from({ length: 49 }, (_, index) => [`/resource/${index}`, 100 + index * 997]);

const MOVING = `<style>body{font:16px sans-serif}</style><h1>Moving</h1><script>
  let line = 0;
  const add = () => {
    document.body.append(Object.assign(document.createElement('p'), { textContent: 'Line ' + ++line + ' of a text that scrolls by.' }));
    scrollTo(0, document.body.scrollHeight);
    if (document.body.children.length > 200) document.querySelector('p').remove();
    requestAnimationFrame(add);
  };
  add();
</script>`;

const WHO = `<iframe src="/empty"></iframe><script>
  const gather = (scope) => ({
    agent: scope.navigator.userAgent,
    language: scope.navigator.language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  });
  const inWorker = () => new Promise((resolve) => {
    const source = 'postMessage((' + gather + ')(self))';
    new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))).onmessage = ({ data }) => resolve(data);
  });
  globalThis.story = async () => ({
    ...gather(globalThis),
    worker: await inWorker(),
    frame: gather(frames[0]),
    webdriver: navigator.webdriver,
    brands: navigator.userAgentData?.brands ?? [],
    languages: navigator.languages,
    inner: [innerWidth, innerHeight],
    outer: [outerWidth, outerHeight],
    screen: [screen.width, screen.height],
    plugins: navigator.plugins.length,
    webgl: document.createElement('canvas').getContext('webgl') !== null,
    headers: await (await fetch('/headers')).json(),
  });
</script>`;

export function answer(request, response) {
  const { pathname } = new URL(request.url, 'http://site.test');
  const html = (text) => response.setHeader('Content-Type', 'text/html; charset=utf-8').end(text);
  if (pathname === '/moving') return html(page('Moving', MOVING));
  if (pathname === '/who') return html(page('Who', WHO));
  if (pathname === '/empty') return html(page('Empty', ''));
  if (pathname === '/headers') return response.setHeader('Content-Type', 'application/json').end(JSON.stringify(request.headers));
  if (pathname === '/resources') {
    response.setHeader('Set-Cookie', 'secret=visible; Path=/');
    return html(page('Resources', RESOURCES.map(([path]) => `<script src="${path}"></script>`).join('')));
  }
  if (pathname.startsWith('/resource/')) {
    const size = new Map(RESOURCES).get(pathname);
    return response.setHeader('Content-Type', 'text/javascript').end('//'.padEnd(size, '.'));
  }
  if (pathname === '/login') {
    // As most sites do it: a cookie without an expiry, which a browser forgets when it ends.
    return response.writeHead(303, { 'Set-Cookie': 'login=somebody; Path=/; HttpOnly', Location: '/account' }).end();
  }
  if (pathname === '/account') {
    const known = /\blogin=somebody\b/.test(request.headers.cookie ?? '');
    const form = '<form method="post" action="/login"><button>Log in</button></form>';
    return html(page('Account', known ? '<h1>Welcome back</h1>' : `<h1>Please log in</h1>${form}`));
  }
  if (pathname === '/download') {
    response.setHeader('Content-Disposition', 'attachment; filename="report.txt"');
    return response.setHeader('Content-Type', 'text/plain').end('x'.repeat(300_000));
  }
  return html(page('A page of the tests', '<h1>Hello</h1>'));
}
