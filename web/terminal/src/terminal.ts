//! The terminal page: one terminal of a sandbox in a window, for as long as the window is there.

import { FitAddon } from '@xterm/addon-fit';
import { Terminal, type ITheme } from '@xterm/xterm';
import { Connection, type State } from './connection.ts';
import { Host } from './host.ts';

const FONT_MIN_PX = 8;
const FONT_MAX_PX = 32;
const FONT_PX = 14;
/** Lines that can be scrolled back to. */
const SCROLLBACK = 10_000;

const LIGHT: ITheme = {
  background: '#ffffff',
  foreground: '#17201d',
  cursor: '#0b6b5c',
  cursorAccent: '#ffffff',
  selectionBackground: '#b9ddd5',
  black: '#17201d',
  red: '#b3261e',
  green: '#2b6a12',
  yellow: '#7a5200',
  blue: '#1757b8',
  magenta: '#8a2a92',
  cyan: '#0b6b77',
  white: '#6b7672',
  brightBlack: '#56625e',
  brightRed: '#c9372c',
  brightGreen: '#3a7d1c',
  brightYellow: '#8a5f00',
  brightBlue: '#2a6bd4',
  brightMagenta: '#a23aab',
  brightCyan: '#0f7c8a',
  brightWhite: '#3c4643',
};
const DARK: ITheme = {
  background: '#101413',
  foreground: '#e8edeb',
  cursor: '#6fd3bf',
  cursorAccent: '#101413',
  selectionBackground: '#2f5a51',
};

function find<E extends Element>(kind: new () => E, selector: string): E {
  const found = document.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`could not find ${selector}`);
  return found;
}

const status = find(HTMLElement, '#status');
const title = find(HTMLElement, '#title');
const again = find(HTMLButtonElement, '#again');
const reader = find(HTMLButtonElement, '#reader');
const area = find(HTMLElement, '#screen');
const dark = matchMedia('(prefers-color-scheme: dark)');

const terminal = new Terminal({
  cursorBlink: true,
  fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
  fontSize: Number(remembered('font')) || FONT_PX,
  minimumContrastRatio: 4.5,
  rightClickSelectsWord: false,
  screenReaderMode: remembered('reader') === 'true',
  scrollback: SCROLLBACK,
  theme: dark.matches ? DARK : LIGHT,
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(area);
fit.fit();

/** While output is shown that was there before: the questions in it were answered then. */
let muted = 0;
const connection = new Connection(new Host(() => void connection.connect()), {
  get cols() {
    return terminal.cols;
  },
  get rows() {
    return terminal.rows;
  },
  show(output, old, shown) {
    if (old) muted += 1;
    terminal.write(output, () => {
      if (old) muted -= 1;
      shown();
    });
  },
  clear: () => terminal.reset(),
  state: (state) => say(state),
});

function say(state: State): void {
  switch (state.is) {
    case 'connecting':
      if (state.paused) status.textContent = 'This sandbox is paused; the terminal goes on when it is resumed.';
      else status.textContent = state.again ? 'The connection was lost; connecting again…' : 'Connecting…';
      break;
    case 'open':
      status.textContent = '';
      terminal.focus();
      break;
    case 'over':
      status.textContent = state.sentence;
      break;
  }
  again.hidden = state.is !== 'over' || !state.another;
  terminal.options.cursorBlink = state.is === 'open';
  terminal.options.disableStdin = state.is !== 'open';
  if (!again.hidden) again.focus();
}

const text = new TextEncoder();
terminal.onData((data) => muted === 0 && connection.type(text.encode(data)));
// Mouse reports of old programs: bytes, not text.
terminal.onBinary((data) => connection.type(Uint8Array.from(data, (letter) => letter.charCodeAt(0))));
terminal.onResize(({ cols, rows }) => connection.resize(cols, rows));
terminal.onTitleChange((given) => {
  title.textContent = given || 'Terminal';
  document.title = `${given || 'Terminal'} – Vitrine`;
});
terminal.attachCustomKeyEventHandler((event) => {
  // Browsers have other plans with it.
  if (event.code !== 'KeyC' || !event.ctrlKey || !event.shiftKey || event.altKey) return true;
  event.preventDefault();
  if (event.type === 'keydown') void copy();
  return false;
});

new ResizeObserver(() => fit.fit()).observe(area);
dark.addEventListener('change', () => (terminal.options.theme = dark.matches ? DARK : LIGHT));
again.addEventListener('click', () => connection.another());
find(HTMLButtonElement, '#copy').addEventListener('click', () => void copy());
find(HTMLButtonElement, '#smaller').addEventListener('click', () => scale(-1));
find(HTMLButtonElement, '#larger').addEventListener('click', () => scale(1));
setUpPaste(find(HTMLButtonElement, '#paste'));
setUpReader();

async function copy(): Promise<void> {
  const selection = terminal.getSelection();
  if (!selection) return;
  try {
    await navigator.clipboard.writeText(selection);
  } catch {
    // Plain http has no clipboard, but copies what is selected in a field.
    const field = document.createElement('textarea');
    field.value = selection;
    document.body.append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
  }
  terminal.focus();
}

function setUpPaste(button: HTMLButtonElement): void {
  // Reading needs a secure page; the browser's own shortcut works everywhere.
  button.hidden = !('clipboard' in navigator) || !('readText' in navigator.clipboard);
  const paste = async () => {
    try {
      terminal.paste(await navigator.clipboard.readText());
    } catch {
      status.textContent = 'This browser does not let the page paste. Use Ctrl+Shift+V.';
    }
    terminal.focus();
  };
  button.addEventListener('click', () => void paste());
}

function setUpReader(): void {
  const show = () => (reader.ariaPressed = String(terminal.options.screenReaderMode));
  reader.addEventListener('click', () => {
    terminal.options.screenReaderMode = !terminal.options.screenReaderMode;
    remember('reader', String(terminal.options.screenReaderMode));
    show();
  });
  show();
}

function scale(by: number): void {
  const size = Math.min(Math.max((terminal.options.fontSize ?? FONT_PX) + by, FONT_MIN_PX), FONT_MAX_PX);
  terminal.options.fontSize = size;
  remember('font', String(size));
  fit.fit();
  terminal.focus();
}

/** A person's choice; storage is refused in some frames, and then it holds for this time. */
function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`vitrine.terminal.${name}`, value);
  } catch {
    return;
  }
}

function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`vitrine.terminal.${name}`);
  } catch {
    return null;
  }
}

void connection.connect();
