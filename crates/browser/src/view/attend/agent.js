// What a page does not tell by itself: the cursor's shape, where the caret is, which select list was opened. Runs in an isolated
// world of each frame: the page shares its elements but can neither see nor change this. It speaks only for as long as its lease
// is renewed, so that a page whose viewers are gone behaves as if they had never been there.
(() => {
  const LEASE_MS = 15_000;
  const CURSOR_PAUSE_MS = 40;
  const CARET_PAUSE_MS = 60;
  const OPTIONS_MAX = 10_000;
  const LABEL_MAX = 256;
  const OPTIONS_CHARS_MAX = 400_000;
  const CLIP_CHARS_MAX = 4_000_000;
  const IMAGE_CHARS_MAX = 8_000_000;
  const NOT_TEXT = new Set(
    ['button', 'checkbox', 'color', 'file', 'hidden', 'image', 'radio', 'range', 'reset', 'submit'],
  );

  let leasedUntil = 0;
  const renew = () => {
    leasedUntil = performance.now() + LEASE_MS;
  };
  // Not `globalThis.vitrine` alone: an element or frame of the page with this name answers to it too.
  if (Object.hasOwn(globalThis, 'vitrine')) return globalThis.vitrine.renew();
  const leased = () => performance.now() < leasedUntil;
  const told = new Map();
  const tell = (about, report) => {
    const text = JSON.stringify({ about, ...report });
    if (about !== 'select' && told.get(about) === text) return;
    told.set(about, text);
    try {
      globalThis.vitrineReport(text);
    } catch {
      // Nobody listens any more.
    }
  };
  /** Runs at most once in a while, with what is newest then. */
  const throttled = (pause, run) => {
    let waits = false;
    let latest;
    return (argument) => {
      latest = argument;
      if (waits || !leased()) return;
      waits = true;
      setTimeout(() => {
        waits = false;
        run(latest);
      }, pause);
    };
  };

  const deepActive = () => {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return element;
  };
  const isField = (element) =>
    element instanceof HTMLTextAreaElement || (element instanceof HTMLInputElement && !NOT_TEXT.has(element.type));
  const rectOf = ({ x, y, width, height }) => ({ x, y, width, height });

  // The cursor.
  const isOverText = (x, y) => {
    const range = document.caretRangeFromPoint(x, y);
    const node = range?.startContainer;
    if (node?.nodeType !== Node.TEXT_NODE) return false;
    if (getComputedStyle(node.parentElement ?? document.body).userSelect === 'none') return false;
    range.selectNodeContents(node);
    const holds = (box) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
    return node.length < 10_000 && Array.prototype.slice.call(range.getClientRects(), 0, 200).some(holds);
  };
  const cursorOf = ({ element, x, y }) => {
    const keyword = getComputedStyle(element).cursor.split(',').pop().trim();
    if (keyword !== 'auto') return keyword;
    return element.isContentEditable || isField(element) || isOverText(x, y) ? 'text' : 'default';
  };
  const tellCursor = throttled(CURSOR_PAUSE_MS, (at) => {
    if (at.element.isConnected) tell('cursor', { cursor: cursorOf(at) });
  });
  addEventListener(
    'mousemove',
    (event) => {
      const element = event.composedPath()[0];
      if (event.isTrusted && element instanceof Element) tellCursor({ element, x: event.clientX, y: event.clientY });
    },
    { capture: true, passive: true },
  );
  // Another frame may have told since.
  document.addEventListener('mouseenter', () => told.delete('cursor'), { capture: true, passive: true });

  // The caret.
  const caretOf = (element) => {
    if (isField(element)) return rectOf(element.getBoundingClientRect());
    const selection = getSelection();
    const box = selection.rangeCount > 0 ? selection.getRangeAt(0).getBoundingClientRect() : null;
    return rectOf(box && (box.width > 0 || box.height > 0) ? box : element.getBoundingClientRect());
  };
  const tellCaret = throttled(CARET_PAUSE_MS, () => {
    const element = deepActive();
    if (!document.hasFocus() || element instanceof HTMLIFrameElement || element instanceof HTMLFrameElement) {
      told.delete('focus');
      return;
    }
    const editable = !!element && (isField(element) || element.isContentEditable);
    tell('focus', editable ? { editable, rect: caretOf(element) } : { editable });
  });
  for (const kind of ['focusin', 'focusout', 'input']) addEventListener(kind, tellCaret, { capture: true, passive: true });
  document.addEventListener('selectionchange', tellCaret, { passive: true });

  // Select lists: Chromium draws them in a window of their own, which no picture shows.
  let opened = null;
  let openings = 0;
  const listOf = (event) => {
    const element = event.composedPath()[0];
    const list = element instanceof Element ? element.closest('select') : null;
    if (!list || list.multiple || list.size > 1 || list.disabled) return null;
    return getComputedStyle(list).appearance === 'base-select' ? null : list;
  };
  const optionsOf = (list) => {
    let chars = 0;
    const options = [];
    for (const option of list.options) {
      const group = option.parentElement instanceof HTMLOptGroupElement ? option.parentElement : null;
      const label = option.label.slice(0, LABEL_MAX);
      const title = group?.label.slice(0, LABEL_MAX);
      chars += label.length + (title?.length ?? 0);
      if (options.length === OPTIONS_MAX || chars > OPTIONS_CHARS_MAX) break;
      options.push({ label, selected: option.selected, disabled: option.disabled || !!group?.disabled, group: title });
    }
    return options;
  };
  const close = () => {
    if (opened) tell('selectClosed', { number: opened.number });
    opened = null;
    fading.disconnect();
  };
  /** A list that the page removes or hides while it is open is closed, as Chromium's own would be. */
  const fading = new ResizeObserver(() => {
    if (opened && !opened.list.checkVisibility()) close();
  });
  const open = (list) => {
    close();
    opened = { number: ++openings, list };
    fading.observe(list);
    list.focus({ preventScroll: true });
    tell('select', { number: opened.number, rect: rectOf(list.getBoundingClientRect()), options: optionsOf(list) });
  };
  /** Lets the page's own listeners be first, and does nothing when they took the event. */
  const openUnlessTaken = (event) => {
    const list = listOf(event);
    if (!list) return;
    const last = (late) => {
      if (late !== event || late.defaultPrevented) return;
      late.preventDefault();
      open(list);
    };
    const target = event.composedPath()[0];
    target.addEventListener(event.type, last, { once: true });
    setTimeout(() => target.removeEventListener(event.type, last));
  };
  addEventListener(
    'mousedown',
    (event) => {
      if (!event.isTrusted || !leased()) return;
      close();
      if (event.button === 0) openUnlessTaken(event);
    },
    { capture: true },
  );
  addEventListener(
    'keydown',
    (event) => {
      if (!event.isTrusted || !leased()) return;
      const opens =
        event.key === ' ' || event.key === 'F4' || (event.altKey && (event.key === 'ArrowDown' || event.key === 'ArrowUp'));
      if (opens) openUnlessTaken(event);
    },
    { capture: true },
  );
  const pick = (number, index) => {
    if (opened?.number !== number || !opened.list.isConnected) return false;
    const { list } = opened;
    opened = null;
    fading.disconnect();
    if (index === null) return true;
    const option = list.options[index];
    if (!option || option.disabled) return false;
    if (list.selectedIndex !== index) {
      list.selectedIndex = index;
      list.dispatchEvent(new Event('input', { bubbles: true, composed: true }));
      list.dispatchEvent(new Event('change', { bubbles: true }));
    }
    return true;
  };

  // The clipboard. The page gets the events that it would get; what it leaves alone happens here or in the browser.
  const isPassword = (element) => element instanceof HTMLInputElement && element.type === 'password';
  const offer = (kind, target, data) =>
    target.dispatchEvent(
      new ClipboardEvent(kind, { clipboardData: data, bubbles: true, cancelable: true, composed: true }),
    );
  const paste = ({ text, html, image }) => {
    const target = deepActive() ?? document.documentElement;
    const data = new DataTransfer();
    if (text !== undefined) data.setData('text/plain', text);
    if (html !== undefined) data.setData('text/html', html);
    if (image !== undefined) {
      const bytes = Uint8Array.from(atob(image), (char) => char.charCodeAt(0));
      data.items.add(new File([bytes], 'image.png', { type: 'image/png' }));
    }
    if (!offer('paste', target, data)) return false;
    if (html !== undefined && target.isContentEditable && !isField(target) && Element.prototype.setHTML) {
      // Without scripts and handlers: what is pasted may come from anywhere.
      const safe = document.implementation.createHTMLDocument().createElement('div');
      safe.setHTML(html);
      try {
        if (document.execCommand('insertHTML', false, safe.innerHTML)) return false;
      } catch {
        // The page trusts no markup: then its text alone.
      }
    }
    return text !== undefined;
  };
  const base64Of = (blob) =>
    new Promise((done) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result.slice(reader.result.indexOf(',') + 1));
      reader.onerror = () => done(undefined);
      reader.readAsDataURL(blob);
    });
  const given = async (data) => {
    const text = data.getData('text/plain');
    const html = data.getData('text/html');
    const file = [...data.files].find(({ type, size }) => type === 'image/png' && size < IMAGE_CHARS_MAX * 0.7);
    return { text: text || undefined, html: html || undefined, image: file && (await base64Of(file)) };
  };
  const pictureOf = (image) => {
    try {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      canvas.getContext('2d').drawImage(image, 0, 0);
      return canvas.toDataURL('image/png').split(',')[1];
    } catch {
      // Another site's picture: no page may read it, and neither do we.
      return undefined;
    }
  };
  const copy = async (cut) => {
    const active = deepActive();
    const selection = getSelection();
    const holder = selection.focusNode instanceof Element ? selection.focusNode : selection.focusNode?.parentElement;
    const target = isField(active) ? active : (holder ?? active ?? document.documentElement);
    const data = new DataTransfer();
    const clip = {};
    if (!offer(cut ? 'cut' : 'copy', target, data)) Object.assign(clip, await given(data));
    else if (isPassword(active)) return {};
    else {
      if (isField(active)) clip.text = active.value.slice(active.selectionStart ?? 0, active.selectionEnd ?? 0);
      else if (selection.rangeCount > 0 && !selection.isCollapsed) {
        const box = document.implementation.createHTMLDocument().createElement('div');
        box.append(selection.getRangeAt(0).cloneContents());
        clip.text = selection.toString();
        clip.html = box.innerHTML;
        const image = box.querySelectorAll('img').length === 1 && clip.text.trim() === '';
        const shown = image && [...document.images].find((other) => selection.containsNode(other));
        if (shown) clip.image = pictureOf(shown);
      }
      if (cut && clip.text) document.execCommand('delete');
    }
    const fits = (value, max) => (value && value.length <= max ? value : undefined);
    return {
      text: clip.text?.slice(0, CLIP_CHARS_MAX),
      html: fits(clip.html, CLIP_CHARS_MAX),
      image: fits(clip.image, IMAGE_CHARS_MAX),
    };
  };

  globalThis.vitrine = { renew, pick, paste, copy };
  renew();
  tellCaret();
})()
