//! The whole remote browser: the view, and around it everything a person needs to use a browser. Which page it is part of, its
//! host knows.

import { Address } from './chrome/address.ts';
import type { Context } from './chrome/context.ts';
import { Downloads } from './chrome/downloads.ts';
import { Permissions } from './chrome/permissions.ts';
import { Questions } from './chrome/questions.ts';
import { SelectList } from './chrome/select.ts';
import { shortcut } from './chrome/shortcuts.ts';
import { Sizing } from './chrome/sizing.ts';
import { Status } from './chrome/status.ts';
import { nameOf, Tabs } from './chrome/tabs.ts';
import { take } from './clipboard.ts';
import { find, icon, takeKeyboard, unreachable } from './dom.ts';
import type { Host } from './host.ts';
import type { ServerMessage, Tab } from './protocol.ts';
import { View } from './view.ts';

export interface Browser {
  readonly view: View;
  readonly context: Context;
  readonly sizing: Sizing;
  /** What the picture may fill. */
  readonly stage: HTMLElement;
  /** Takes the person's hands off the session, or gives them back as far as the server lets. */
  handsOff(off: boolean): void;
}

export function open(host: Host): Browser {
  const field = find(HTMLTextAreaElement, '#keys');
  const parts = {
    surface: find(HTMLElement, '#surface'),
    canvas: find(HTMLCanvasElement, '#picture'),
    field,
    stage: find(HTMLElement, '#stage'),
  };
  const view = new View(host, parts, {
    link: (link) => {
      status.link(link);
      address.show(tabs.current);
      if (link.state === 'ended') forget();
    },
    message: (message) => receive(message),
    sized: () => sizing.layOut(),
    copied: (clip) => {
      const failed = () => context.say('This browser does not let the copied content be taken.');
      const run = () => void take(clip).catch(failed);
      context.say('Copied in the page.', { label: 'Take it', run });
    },
    say: (sentence) => context.say(sentence),
    claim: (event) => claim(event),
    leave: () => {
      tabs.focus();
      // Where the controls are hidden, nothing takes the keyboard from the picture by itself.
      if (document.activeElement === field) field.blur();
    },
  });
  const context: Context = {
    host,
    view,
    act: (message) => view.act(message),
    ask: (message) => view.connection.send(message),
    say: (sentence, action) => status.say(sentence, action),
    toPage: () => takeKeyboard(field),
  };
  const status = new Status(view);
  const sizing = new Sizing(context);
  const address = new Address(context);
  const permissions = new Permissions(context);
  const downloads = new Downloads(context);
  const select = new SelectList(context);
  const questions = new Questions(context, find(HTMLElement, '#questions'));
  const tabs = new Tabs(context, { shown: (tab) => shown(tab), opened: () => address.focus() });

  function shown(tab: Tab | null): void {
    address.show(tab);
    permissions.show(tab);
    status.crashed(tab?.crashed ?? false);
    const title = tab ? nameOf(tab) : '';
    parts.canvas.ariaLabel = title ? `Live picture of ${title}` : 'Live picture of the page';
    host.notify({ type: 'titled', title });
  }

  function forget(): void {
    questions.clear();
    select.clear();
  }

  function claim(event: KeyboardEvent): boolean {
    const run = shortcut(event, {
      address: () => address.focus(),
      reload: (hard) => address.reload(hard),
      back: () => view.act({ type: 'back' }),
      forward: () => view.act({ type: 'forward' }),
      newTab: () => tabs.open(),
      closeTab: () => tabs.close(),
      stepTab: (by) => tabs.step(by),
      zoom: (by) => sizing.zoom(by),
    });
    if (!run) return false;
    event.preventDefault();
    run();
    return true;
  }

  function receive(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        forget();
        address.show(tabs.current);
        status.mode(view.control ? 'control' : 'view');
        status.viewers(message.viewers);
        break;
      case 'viewers':
        status.viewers(message.count);
        break;
      case 'tabs':
        tabs.update(message);
        break;
      case 'watching':
        tabs.watching(message);
        sizing.repeat();
        break;
      case 'viewport':
        sizing.viewport(message);
        break;
      case 'dialog':
        questions.dialog(message);
        break;
      case 'dialogClosed':
      case 'fileChooserClosed':
        questions.close(message.id);
        break;
      case 'fileChooser':
        questions.fileChooser(message);
        break;
      case 'select':
        select.show(message);
        break;
      case 'selectClosed':
        select.close(message.id);
        break;
      case 'download':
        downloads.update(message);
        break;
      case 'permissions':
        permissions.update(message);
        break;
      case 'error':
        context.say(message.message);
        break;
      case 'pong':
      case 'cursor':
      case 'clipboard':
      case 'focus':
      case 'result':
      case 'event':
      case 'policy':
        // The view itself has done what is to do.
        break;
      default:
        unreachable(message);
    }
  }

  setUpScreenButtons(field);
  find(HTMLButtonElement, '#copy').addEventListener('click', () => view.copy(false));
  find(HTMLButtonElement, '#paste').addEventListener('click', () => void view.paste());
  // Who comes to the picture by keyboard is told how to leave it again.
  let byTab = false;
  addEventListener('keydown', ({ key }) => (byTab = key === 'Tab'), { capture: true });
  addEventListener('mousedown', () => (byTab = false), { capture: true });
  field.addEventListener('focus', () => (parts.stage.dataset['entered'] = byTab ? 'keyboard' : ''));

  function handsOff(off: boolean): void {
    view.handsOff(off);
    if (document.documentElement.dataset['mode'] !== 'none') status.mode(view.control ? 'control' : 'view');
    address.show(tabs.current);
    if (off) select.clear();
    else sizing.repeat();
  }

  return { view, context, sizing, stage: parts.stage, handsOff };
}

function setUpScreenButtons(field: HTMLTextAreaElement): void {
  const full = find(HTMLButtonElement, '#full-screen');
  full.append(icon('full'));
  full.hidden = !document.fullscreenEnabled;
  full.addEventListener('click', () => void toggleFullScreen());
  document.addEventListener('fullscreenchange', () => {
    full.ariaPressed = String(document.fullscreenElement !== null);
    field.focus({ preventScroll: true });
  });
  const keyboard = find(HTMLButtonElement, '#soft-keyboard');
  keyboard.append(icon('keyboard'));
  keyboard.addEventListener('click', () => {
    field.blur();
    field.inputMode = 'text';
    field.focus({ preventScroll: true });
  });
}

async function toggleFullScreen(): Promise<void> {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
    return;
  }
  await document.documentElement.requestFullscreen();
  // Where the browser can, its own shortcuts go to the session then; Escape has to be held to leave.
  const { keyboard } = navigator as { keyboard?: { lock(): Promise<void> } };
  await keyboard?.lock().catch(() => {});
}
