//! The live view's messages, version 1: what a viewer sends, what it is sent, and the header before each picture. The same
//! fixtures (`web/fixtures/live-view`) hold these shapes and the server's together.

import { type Checked, flag, json, list, messages, number, object, oneOf, optional, text } from './schema.ts';

export const VERSION = 1;

const coding = oneOf('h264', 'jpeg');
const dialogKind = oneOf('alert', 'confirm', 'prompt', 'beforeunload');
const permissionState = oneOf('granted', 'denied', 'prompt');
const tab = object({
  id: text,
  title: text,
  url: text,
  favicon: optional(text),
  loading: flag,
  canGoBack: flag,
  canGoForward: flag,
  crashed: flag,
});
const option = object({ label: text, selected: flag, disabled: flag, group: optional(text) });
const permission = object({ name: text, state: permissionState });
const point = object({ id: number, x: number, y: number, radius: optional(number), force: optional(number) });
const downloadState = oneOf('inProgress', 'completed', 'cancelled');
const interactionMode = oneOf('full', 'limited', 'view-only');
const callFailure = object({ message: text, code: text, status: optional(number), retriable: flag });

/** What the server sends. */
export const isServerMessage = messages({
  hello: { version: number, session: text, mode: oneOf('view', 'control'), coding, viewers: number },
  viewers: { count: number },
  pong: { at: number },
  tabs: { active: optional(text), tabs: list(tab) },
  viewport: { tab: text, width: number, height: number, scale: number, zoom: number },
  watching: { tab: text },
  cursor: { cursor: text },
  clipboard: { text: optional(text), html: optional(text), image: optional(text) },
  focus: {
    editable: flag,
    x: optional(number),
    y: optional(number),
    width: optional(number),
    height: optional(number),
  },
  dialog: { id: text, tab: text, kind: dialogKind, message: text, default: optional(text), url: text },
  dialogClosed: { id: text },
  select: {
    id: text,
    tab: text,
    x: number,
    y: number,
    width: number,
    height: number,
    multiple: flag,
    options: list(option),
  },
  selectClosed: { id: text },
  fileChooser: { id: text, tab: text, multiple: flag, accept: list(text) },
  fileChooserClosed: { id: text },
  download: {
    id: text,
    name: text,
    url: text,
    size: optional(number),
    received: number,
    state: downloadState,
    path: optional(text),
  },
  permissions: { origin: text, states: list(permission) },
  error: { about: text, message: text },
  result: { id: text, value: optional(json), error: optional(callFailure) },
  event: { name: text, detail: json },
  policy: { policy: json, methods: list(text) },
});

/** What a viewer sends. */
export const isViewerMessage = messages({
  start: {
    version: number,
    codings: list(coding),
    width: optional(number),
    height: optional(number),
    scale: optional(number),
  },
  ack: { sequence: number },
  refresh: {},
  coding: { coding },
  visible: { visible: flag },
  ping: { at: number },
  mouse: {
    kind: oneOf('move', 'down', 'up'),
    x: number,
    y: number,
    button: oneOf('none', 'left', 'middle', 'right', 'back', 'forward'),
    buttons: number,
    clicks: number,
    modifiers: number,
  },
  wheel: { x: number, y: number, dx: number, dy: number, modifiers: number },
  touch: { kind: oneOf('start', 'move', 'end', 'cancel'), points: list(point), modifiers: number },
  key: {
    kind: oneOf('down', 'up'),
    key: text,
    code: text,
    location: number,
    modifiers: number,
    repeat: flag,
    text: optional(text),
  },
  insert: { text },
  compose: { text, from: number, to: number },
  paste: { text: optional(text), html: optional(text), image: optional(text) },
  copy: { cut: flag },
  watch: { tab: optional(text) },
  activate: { tab: text },
  newTab: { url: optional(text) },
  closeTab: { tab: text },
  navigate: { url: text },
  back: {},
  forward: {},
  reload: { hard: flag },
  stop: {},
  dialog: { id: text, accept: flag, text: optional(text) },
  select: { id: text, indices: optional(list(number)), cancelled: optional(flag) },
  files: { id: text, paths: optional(list(text)), cancelled: optional(flag) },
  permission: { origin: text, name: text, state: permissionState },
  permissions: { origin: text },
  zoom: { factor: number },
  resize: { width: optional(number), height: optional(number), scale: optional(number), reset: optional(flag) },
  call: { id: text, callId: optional(text), method: text, args: list(json) },
  interaction: { mode: interactionMode },
});

export type ServerMessage = Checked<typeof isServerMessage>;
export type ViewerMessage = Checked<typeof isViewerMessage>;
export type Received<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;
export type Sent<T extends ViewerMessage['type']> = Extract<ViewerMessage, { type: T }>;
export type Coding = Checked<typeof coding>;
export type Tab = Checked<typeof tab>;
export type TouchPoint = Checked<typeof point>;
export type PermissionState = Checked<typeof permissionState>;
export type InteractionMode = Checked<typeof interactionMode>;

/** What carries a page's or a program's own data, where `null` is a value like any other. */
const CARRIES_DATA: ReadonlySet<unknown> = new Set(['result', 'event', 'policy']);

/** Null for what this page does not understand. A field of the protocol's own that is `null` reads as left out. */
export function decodeMessage(text: string): ServerMessage | null {
  const raw: unknown = JSON.parse(text);
  const value = CARRIES_DATA.has((raw as { type?: unknown } | null)?.type)
    ? raw
    : JSON.parse(text, (_, field: unknown) => field ?? undefined);
  return isServerMessage(value) ? value : null;
}

export interface Picture {
  readonly coding: Coding;
  readonly key: boolean;
  readonly droppable: boolean;
  readonly sequence: number;
  readonly atMicroseconds: number;
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

const HEADER_BYTES = 20;
const KEY = 1;
const DROPPABLE = 2;
const CODINGS: Readonly<Record<number, Coding>> = { 1: 'h264', 2: 'jpeg' };

/** Null for what this page does not understand. */
export function decodePicture(bytes: ArrayBuffer): Picture | null {
  if (bytes.byteLength < HEADER_BYTES) return null;
  const header = new DataView(bytes, 0, HEADER_BYTES);
  const coding = CODINGS[header.getUint8(1)];
  if (header.getUint8(0) !== VERSION || coding === undefined) return null;
  const flags = header.getUint8(2);
  return {
    coding,
    key: (flags & KEY) !== 0,
    droppable: (flags & DROPPABLE) !== 0,
    sequence: header.getUint32(4),
    atMicroseconds: Number(header.getBigUint64(8)),
    width: header.getUint16(16),
    height: header.getUint16(18),
    data: new Uint8Array(bytes, HEADER_BYTES),
  };
}
