// The site that the remote browsers of these tests visit: a form, tabs, dialogs, icons, an article, a list, slow and hostile pages.

const page = (title, body, head = '') => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>${head}</head><body>${body}</body></html>`;

const FORM = page(
  'A form',
  `<style>body{margin:0;font:18px sans-serif;background:#0a7d33;color:#fff}main{padding:24px}input,button{font:inherit}</style>
<main><h1>An order</h1>
<label>Name <input id="name"></label> <label>City <input id="city" value="Rome"></label>
<button id="send" onclick="sent(event)">Send</button> <button id="hidden" style="display:none">Hidden</button>
<p id="result"></p><div id="place"></div></main>
<script>
  globalThis.clicks = 0;
  globalThis.trusted = [];
  function sent(event) {
    clicks += 1;
    trusted.push(event.isTrusted);
    result.textContent = 'Sent ' + document.querySelector('#name').value;
    document.title = 'Sent ' + clicks;
  }
  document.querySelector('#name').addEventListener('keydown', (event) => trusted.push(event.isTrusted));
  setTimeout(() => (place.innerHTML = '<em id="late">Late</em>'), 700);
</script>`,
);

const ARTICLE = page(
  'An article',
  `<nav><a href="/">Home</a> <a href="/form">Navigation words</a></nav>
<main><article><h1>On windows</h1>${Array.from({ length: 6 }, (_, n) => `<p>Paragraph ${n} of the story, which is long enough to be what a person came to this page for, and says so.</p>`).join('')}</article></main>
<aside>Buy now, advertisement words</aside><footer>Imprint words</footer>`,
);

const LIST = page(
  'A list',
  `<style>body{margin:0}li{height:30px;margin:0}ul{margin:20px}</style><ul id="items">${Array.from(
    { length: 10 },
    (_, n) => `<li class="item"><a href="/form?item=${n}">Item ${n}</a></li>`,
  ).join('')}</ul>`,
);

const DIALOGS = page(
  'Dialogs',
  `<button id="alert" onclick="alert('Look')">Alert</button>
<button id="confirm" onclick="document.title = 'confirm ' + confirm('Sure?')">Confirm</button>
<button id="prompt" onclick="document.title = 'prompt ' + prompt('Which number?', '7')">Prompt</button>`,
);

const LONG = page('A long page', `<style>body{margin:0}div{height:400px}</style>${Array.from({ length: 20 }, (_, n) => `<div id="part${n}">Part ${n}</div>`).join('')}`);

// Dialogs without end, a trap at leaving, full screen, print, titles in floods, history in floods, and prototypes bent.
const HOSTILE = page(
  'Hostile',
  `<h1 id="here">Hostile</h1><script>
  Array.prototype.map = () => { throw new Error('bent'); };
  JSON.stringify = () => 'bent';
  Element.prototype.getBoundingClientRect = () => { throw new Error('bent'); };
  addEventListener('beforeunload', (event) => { event.preventDefault(); event.returnValue = 'Stay'; });
  addEventListener('click', () => document.documentElement.requestFullscreen().catch(() => {}));
  let count = 0;
  setInterval(() => { for (let n = 0; n < 100; n += 1) document.title = 'flood ' + (count += 1); }, 10);
  setTimeout(() => { print(); }, 200);
</script>`,
);
const ALERTS = page('Alerts', `<script>setTimeout(() => { for (let n = 0; ; n += 1) alert('again ' + n); }, 300);</script>`);
const HANGS = page('Hangs', `<h1>Hangs</h1><script>setTimeout(() => { for (;;); }, 300);</script>`);

/** What the README's example is shown with: a field to search in, and what it finds. */
const encyclopedia = (words) =>
  page(
    `${words || 'Start'} – an encyclopedia`,
    `<style>body{margin:0;font:17px/1.6 Georgia,serif;color:#222;background:#faf8f3}header{background:#243b53;color:#fff;padding:18px 40px;font:600 20px sans-serif}
main{margin:32px 40px;max-width:760px}form{display:flex;gap:8px;margin:0 0 28px}input,button{font:inherit;padding:8px 14px;border:1px solid #9fb3c8;border-radius:6px}
button{background:#243b53;color:#fff}input{flex:1}h1{font-weight:600;margin:0 0 12px}</style>
<header>An encyclopedia</header><main><form action="/encyclopedia"><input id="searchInput" name="search" placeholder="Search"><button type="submit">Search</button></form>
${words ? `<h1>${words}</h1><p>A window is an opening in a wall that lets light through, and air when it is opened. Who stands on one side sees what is on the other, and may reach into it.</p><p>The glass keeps the weather where it is. A window that many look through at once is called a shop’s.</p>` : '<p>Search for a word.</p>'}</main>`,
  );

/** A picture of one colour, as an icon. */
const ICON = '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><rect width="16" height="16" fill="#c00"/></svg>';

const PAGES = {
  '/form': FORM,
  '/article': ARTICLE,
  '/list': LIST,
  '/dialogs': DIALOGS,
  '/long': LONG,
  '/hostile': HOSTILE,
  '/alerts': ALERTS,
  '/hangs': HANGS,
  '/icon': page('With an icon', '<h1>Icon</h1>', '<link rel="icon" href="/icon.svg" type="image/svg+xml">'),
  '/one': page('One', '<h1>One</h1><a id="next" href="/two">Two</a>'),
  '/two': page('Two', '<h1>Two</h1>'),
  '/popup': page('Popup', `<button id="open" onclick="open('/two')">Open</button>`),
  '/receipts': page('Receipts', '<a id="receipt" href="/receipt">Receipt</a>'),
};

const SLOW_MS = 1_500;

export function answer(request, response) {
  const { pathname } = new URL(request.url, 'http://site.test');
  const html = (text) => response.setHeader('Content-Type', 'text/html; charset=utf-8').end(text);
  if (Object.hasOwn(PAGES, pathname)) return html(PAGES[pathname]);
  if (pathname === '/encyclopedia') return html(encyclopedia(new URL(request.url, 'http://site.test').searchParams.get('search')?.replace(/[^\w ]/g, '')));
  const elsewhere = `http://${request.headers.host.replace('site.test', 'other.test')}/form`;
  if (pathname === '/leave') return html(page('Leave', `<a id="link" href="${elsewhere}">Leave</a><iframe src="${elsewhere}"></iframe>`));
  if (pathname === '/away') return response.writeHead(302, { Location: elsewhere }).end();
  if (pathname === '/redirect') return response.writeHead(302, { Location: '/one' }).end();
  if (pathname === '/slow') return void setTimeout(() => html(page('Slow', '<h1>Slow</h1>')), SLOW_MS);
  if (pathname === '/never') return undefined;
  if (pathname === '/icon.svg') return response.setHeader('Content-Type', 'image/svg+xml').end(ICON);
  if (pathname === '/favicon.ico') return response.writeHead(404).end();
  if (pathname === '/search') return html(page(`Found ${new URL(request.url, 'http://site.test').searchParams.get('q')}`, ''));
  if (pathname === '/receipt') {
    response.setHeader('Content-Disposition', 'attachment; filename="receipt.txt"');
    return response.setHeader('Content-Type', 'text/plain').end('paid');
  }
  return html(page('A page of the tests', '<h1>Hello</h1>'));
}
