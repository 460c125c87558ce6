// What the embed API asks of a document. Called in an isolated world of its main frame: the page shares its elements but can
// neither see nor change this. Everything that is given back is bounded.
(verb, argument) => {
  const TEXT_MAX = 2_000;
  const HTML_MAX = 4_000;
  const HREF_MAX = 4_000;
  const PAGE_TEXT_MAX = 1_000_000;
  const DEPTH_MAX = 12;
  const CANDIDATES_MAX = 5_000;
  const NOT_TYPED_INTO = new Set(
    ['button', 'checkbox', 'color', 'file', 'hidden', 'image', 'radio', 'range', 'reset', 'submit'],
  );

  // Own copies: a form's `name` or `id` field answers in place of the element's property.
  const attribute = (element, name) => Element.prototype.getAttribute.call(element, name);
  const squeezed = (text, max) => text.replace(/\s+/g, ' ').trim().slice(0, max);
  const textOf = (element) => squeezed(element.innerText ?? element.textContent ?? '', TEXT_MAX);
  const hrefOf = (element) => {
    const link = element.closest('a[href], area[href]');
    return link ? String(link.href?.baseVal ?? link.href).slice(0, HREF_MAX) : null;
  };
  const htmlOf = (element) => element.outerHTML.slice(0, HTML_MAX);

  /** All that match; null when it is no selector. */
  const all = (selector, scope = document) => {
    try {
      return [...scope.querySelectorAll(selector)];
    } catch {
      return null;
    }
  };
  const first = (selector) => {
    try {
      return { element: document.querySelector(selector) };
    } catch {
      return { invalid: true };
    }
  };

  // Where an element can be clicked.
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
  const boxesOf = (element) =>
    [...element.getClientRects()].filter(({ width, height }) => width > 0 && height > 0);
  /** The middle of the part of a box that the window shows. */
  const middle = (box) => {
    const left = Math.max(box.left, 0);
    const top = Math.max(box.top, 0);
    const right = Math.min(box.right, innerWidth);
    const bottom = Math.min(box.bottom, innerHeight);
    return right - left >= 1 && bottom - top >= 1 ? { x: (left + right) / 2, y: (top + bottom) / 2 } : null;
  };
  const deepAt = ({ x, y }) => {
    let root = document;
    let hit = null;
    for (;;) {
      const next = root.elementFromPoint(x, y);
      if (!next || next === hit) return hit;
      hit = next;
      if (!hit.shadowRoot) return hit;
      root = hit.shadowRoot;
    }
  };
  const above = (node) => node.assignedSlot ?? node.parentElement ?? node.getRootNode().host ?? null;
  const holds = (outer, inner) => {
    for (let node = inner; node; node = above(node)) if (node === outer) return true;
    return false;
  };
  const named = (element) => {
    const id = attribute(element, 'id');
    return element.localName.slice(0, 64) + (id ? `#${id.slice(0, 64)}` : '');
  };
  const isTypedInto = (element) =>
    element.isContentEditable ||
    element instanceof HTMLTextAreaElement ||
    (element instanceof HTMLInputElement && !NOT_TYPED_INTO.has(element.type));

  const locate = ({ selector }) => {
    const { element, invalid } = first(selector);
    if (invalid) return { state: 'invalid' };
    if (!element) return { state: 'missing' };
    if (!isShown(element) || boxesOf(element).length === 0) return { state: 'hidden' };
    let point = boxesOf(element).map(middle).find(Boolean);
    if (!point) {
      element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
      point = boxesOf(element).map(middle).find(Boolean);
    }
    if (!point) return { state: 'hidden' };
    const covers = (at) => {
      const hit = deepAt(at);
      const label = hit?.closest?.('label');
      return !hit || holds(element, hit) || (label && label.control === element) ? null : hit;
    };
    let cover = covers(point);
    if (cover) {
      // A header that stays in place may lie on it: in the middle of the window it lies free.
      element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
      point = boxesOf(element).map(middle).find(Boolean) ?? point;
      cover = covers(point);
    }
    return cover ? { state: 'covered', by: named(cover) } : { state: 'ready', ...point };
  };

  /** Gives an element the keyboard, with the caret behind what is there, or all of it selected. */
  const focus = ({ selector, clear }) => {
    const { element, invalid } = first(selector);
    if (invalid) return { state: 'invalid' };
    if (!element) return { state: 'missing' };
    const field = isTypedInto(element) ? element : element.querySelector('input, textarea, [contenteditable]');
    if (!field || !isTypedInto(field)) return { state: 'unsupported' };
    if (field.disabled || field.readOnly) return { state: 'disabled' };
    if (!isShown(field)) return { state: 'hidden' };
    field.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: 'instant' });
    field.focus({ preventScroll: true });
    if (field.getRootNode().activeElement !== field) return { state: 'hidden' };
    if (field.isContentEditable) {
      const selection = getSelection();
      selection.selectAllChildren(field);
      if (!clear) selection.collapseToEnd();
      return { state: 'ready', filled: field.textContent !== '' };
    }
    if (clear) field.select();
    else {
      try {
        field.setSelectionRange(field.value.length, field.value.length);
      } catch {
        // Fields of numbers, dates and addresses have no caret to set: it is at the end.
      }
    }
    return { state: 'ready', filled: field.value !== '' };
  };

  const has = ({ selector }) => {
    const { element, invalid } = first(selector);
    return invalid ? { state: 'invalid' } : { state: element ? 'ready' : 'missing' };
  };

  const facts = () => ({ title: document.title.slice(0, 1024), devicePixelRatio });

  // Selectors.
  const nth = (element) => {
    let place = 1;
    for (let other = element.previousElementSibling; other; other = other.previousElementSibling) {
      if (other.localName === element.localName) place += 1;
    }
    return place;
  };
  const only = (selector, element) => {
    const found = all(selector);
    return found?.length === 1 && found[0] === element;
  };
  const MARKS = ['data-testid', 'data-test', 'data-id', 'name', 'aria-label', 'href', 'title', 'alt'];
  const classesOf = (element) => [...element.classList].filter((word) => word.length <= 64).slice(0, 3);
  const withClasses = (element) =>
    CSS.escape(element.localName) + classesOf(element).map((word) => `.${CSS.escape(word)}`).join('');
  /** From the most telling to a path that always leads there. */
  const selectorsOf = (element) => {
    const found = [];
    const id = attribute(element, 'id');
    if (id && id.length <= 128 && only(`#${CSS.escape(id)}`, element)) found.push(`#${CSS.escape(id)}`);
    for (const mark of MARKS) {
      const value = attribute(element, mark);
      if (!value || value.length > 200) continue;
      const selector = `${CSS.escape(element.localName)}[${mark}=${JSON.stringify(value)}]`;
      if (only(selector, element)) found.push(selector);
    }
    if (classesOf(element).length > 0 && only(withClasses(element), element)) found.push(withClasses(element));
    const path = [];
    for (let node = element; node; node = node.parentElement) {
      const anchor = node !== element && attribute(node, 'id');
      if (anchor && only(`#${CSS.escape(anchor)}`, node)) {
        path.unshift(`#${CSS.escape(anchor)}`);
        break;
      }
      const tag = CSS.escape(node.localName);
      path.unshift(node.parentElement ? `${tag}:nth-of-type(${nth(node)})` : tag);
      if (path.length > 64) break;
    }
    found.push(path.join(' > '));
    return [...new Set(found)].slice(0, 6);
  };
  const described = (element) => {
    const selectors = selectorsOf(element);
    return {
      selector: selectors[0],
      selectors,
      text: textOf(element),
      href: hrefOf(element),
      htmlSnippet: htmlOf(element),
    };
  };
  const rectOf = ({ x, y, width, height }) => ({ x, y, width, height });

  const inspect = ({ x, y }) => {
    let element = document.elementFromPoint(x, y);
    if (!element) return null;
    // What is under the point within a frame of the same origin says more; the selector stays one of this document.
    const facts = { ...described(element), rect: rectOf(element.getBoundingClientRect()) };
    for (let depth = 0; depth < DEPTH_MAX && element instanceof HTMLIFrameElement; depth += 1) {
      const inside = element.contentDocument;
      if (!inside) break;
      const box = element.getBoundingClientRect();
      [x, y] = [x - box.left - element.clientLeft, y - box.top - element.clientTop];
      const next = inside.elementFromPoint(x, y);
      if (!next) break;
      element = next;
      Object.assign(facts, { text: textOf(element), href: hrefOf(element), htmlSnippet: htmlOf(element) });
    }
    return facts;
  };

  const resolve = ({ selector, maxMatches }) => {
    const found = all(selector);
    if (!found) return { state: 'invalid' };
    const shown = found.slice(0, CANDIDATES_MAX).filter((element) => boxesOf(element).length > 0);
    const boxes = shown.slice(0, maxMatches).map((element) => {
      const box = element.getBoundingClientRect();
      return { x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height };
    });
    const sample = shown.slice(0, 5).map((element) => ({ text: textOf(element).slice(0, 200), href: hrefOf(element) }));
    return { state: 'ready', value: { matches: boxes, matchCount: found.length, sample } };
  };

  const itemOf = (fields) => (element) => {
    const item = { text: textOf(element), href: hrefOf(element), html: htmlOf(element) };
    return Object.fromEntries(Object.entries(item).filter(([name]) => fields.includes(name)));
  };
  const items = (selector, maxItems, fields) => {
    const found = all(selector);
    if (!found) return { state: 'invalid' };
    return { state: 'ready', value: { selector, items: found.slice(0, maxItems).map(itemOf(fields)), count: found.length } };
  };
  const extract = ({ selector, maxItems, fields }) => items(selector, maxItems, fields);

  /** A selector of all that are like one: its nearest forebear that has siblings of its kind, and the way from there. */
  const like = (element) => {
    const way = [];
    for (let node = element; node.parentElement && way.length < DEPTH_MAX; node = node.parentElement) {
      const alike = [...node.parentElement.children].filter((other) => other.localName === node.localName);
      const classes = classesOf(node).filter((word) => alike.filter((other) => other.classList.contains(word)).length > 1);
      if (alike.length > 1) {
        const kind = CSS.escape(node.localName) + classes.map((word) => `.${CSS.escape(word)}`).join('');
        const inside = way.map((step) => ` > ${step}`).join('');
        const parent = selectorsOf(node.parentElement)[0];
        const near = `${parent} > ${kind}${inside}`;
        const found = all(near);
        if (found && found.length > 1 && found.includes(element)) return near;
      }
      way.unshift(CSS.escape(node.localName));
    }
    return selectorsOf(element)[0];
  };
  const generalize = ({ selector, maxItems, fields }) => {
    const { element, invalid } = first(selector);
    if (invalid) return { state: 'invalid' };
    return element ? items(like(element), maxItems, fields) : { state: 'missing' };
  };

  // Text.
  const ASIDE = 'nav, aside, footer, header, form, dialog, menu, script, style, noscript, template, iframe, svg, button';
  const ROLES = '[role=navigation], [role=complementary], [role=contentinfo], [role=banner], [role=search], [role=dialog], [aria-hidden=true], [hidden]';
  const UNLIKELY = /\b(nav|menu|sidebar|footer|header|comment|comments|promo|share|social|related|cookie|banner|advert|ad|ads|sponsor|popup|modal|breadcrumb|pagination|toolbar|widget)\b/i;
  const LIKELY = /\b(article|body|content|entry|main|page|post|story|text|blog)\b/i;
  const words = (element) => `${attribute(element, 'class') ?? ''} ${attribute(element, 'id') ?? ''}`.replace(/[-_]/g, ' ');
  const isAside = (element) => {
    if (element.matches(ASIDE) || element.matches(ROLES)) return !element.matches('article header, main article header');
    return UNLIKELY.test(words(element)) && !LIKELY.test(words(element));
  };
  const linkShare = (element, length) => {
    let linked = 0;
    for (const link of element.querySelectorAll('a')) linked += link.textContent.length;
    return length === 0 ? 0 : linked / length;
  };
  const scored = () => {
    const scores = new Map();
    const add = (element, score) => {
      if (!element || element === document.documentElement) return;
      const kind = LIKELY.test(words(element)) ? 5 : UNLIKELY.test(words(element)) ? -15 : 0;
      const tag = element.matches('article, main, [role=main]') ? 20 : element.matches('section, div') ? 2 : 0;
      scores.set(element, (scores.get(element) ?? kind + tag) + score);
    };
    let looked = 0;
    for (const block of document.querySelectorAll('p, pre, blockquote, td, li, dd, h2, h3')) {
      if ((looked += 1) > CANDIDATES_MAX) break;
      const text = block.textContent.trim();
      if (text.length < 25 || block.closest(`${ASIDE}, ${ROLES}`) || !isShown(block)) continue;
      const score = 1 + text.split(/[,，、;]/).length - 1 + Math.min(text.length / 100, 3);
      add(block.parentElement, score);
      add(block.parentElement?.parentElement, score / 2);
      add(block.parentElement?.parentElement?.parentElement, score / 4);
    }
    let best = null;
    let bestScore = 0;
    for (const [element, score] of scores) {
      const share = score * (1 - linkShare(element, element.textContent.length));
      if (share > bestScore) [best, bestScore] = [element, share];
    }
    return best;
  };
  /** The text of a part of the page as it is laid out, without what stands beside the matter. */
  const matter = (root) => {
    const parts = [];
    let size = 0;
    const put = (text) => {
      const clean = text.replace(/[ \t\u00a0]+/g, ' ').replace(/ ?\n ?/g, '\n').trim();
      if (clean !== '' && size < PAGE_TEXT_MAX) {
        parts.push(clean);
        size += clean.length;
      }
    };
    const walk = (element, depth) => {
      if (size >= PAGE_TEXT_MAX || (element !== root && (isAside(element) || !isShown(element)))) return;
      const inner = [...element.children].some((child) => getComputedStyle(child).display !== 'inline');
      if (!inner || depth > 200) {
        const text = element.innerText ?? '';
        if (element === root || text.length < 20 || linkShare(element, text.length) < 0.8) put(text);
        return;
      }
      for (const child of element.childNodes) {
        if (child instanceof Element) walk(child, depth + 1);
        else if (child.nodeType === Node.TEXT_NODE) put(child.data);
      }
    };
    walk(root, 0);
    return parts.join('\n\n');
  };
  const text = ({ mainContentOnly }) => {
    const body = document.body ?? document.documentElement;
    if (!body) return '';
    const whole = () => (body.innerText ?? body.textContent ?? '').slice(0, PAGE_TEXT_MAX);
    if (!mainContentOnly) return whole();
    const articles = [...document.querySelectorAll('article, main, [role=main]')].filter(isShown);
    const declared = articles.length === 1 || articles[0]?.matches('main, [role=main]') ? articles[0] : null;
    const root = declared && declared.textContent.trim().length > 140 ? declared : scored();
    return (root && matter(root).slice(0, PAGE_TEXT_MAX)) || matter(body).slice(0, PAGE_TEXT_MAX) || whole();
  };

  const verbs = { locate, focus, has, facts, inspect, resolve, extract, generalize, text };
  return verbs[verb](argument);
}
