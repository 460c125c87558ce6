//! The clipboard between the page and this machine: text, HTML and images, both ways.

import type { Received, Sent } from './protocol.ts';

export type Clip = Received<'clipboard'>;

/** Of one paste as sent; the server takes 16 MiB. */
const PASTE_BYTES_MAX = 15 * 1024 * 1024;
const BASE64_CHUNK_BYTES = 0x8000;

/** What somebody pastes, as the page should get it; null when there is nothing in it that can be pasted. */
export async function pasteOf(data: DataTransfer): Promise<Sent<'paste'> | null> {
  // The transfer is emptied as soon as the event is over: everything is taken out before the first wait.
  const text = data.getData('text/plain') || undefined;
  const html = data.getData('text/html') || undefined;
  const file = [...data.files].find(({ type }) => type.startsWith('image/'));
  const image = file && !text ? await base64(await asPng(file)) : undefined;
  return fitting({ type: 'paste', text, html, image });
}

/** The same without a paste by keyboard; the browser may ask the person first. */
export async function pasteOfClipboard(): Promise<Sent<'paste'> | null> {
  if (!navigator.clipboard?.read) throw new Error('This browser only pastes by keyboard here.');
  const items = await navigator.clipboard.read().catch(() => {
    throw new Error('This browser did not let the clipboard be read.');
  });
  const part = async (type: string) => items.find(({ types }) => types.includes(type))?.getType(type);
  const text = (await (await part('text/plain'))?.text()) || undefined;
  const html = (await (await part('text/html'))?.text()) || undefined;
  const png = text ? undefined : await part('image/png');
  return fitting({ type: 'paste', text, html, image: png && (await base64(png)) });
}

function fitting(paste: Sent<'paste'>): Sent<'paste'> | null {
  if (!paste.text && !paste.html && !paste.image) return null;
  if (new Blob([JSON.stringify(paste)]).size <= PASTE_BYTES_MAX) return paste;
  throw new Error('This is too large to paste; upload it as a file instead.');
}

export function isEmpty({ text, html, image }: Clip): boolean {
  return !text && !html && !image;
}

/** Puts what the page copied onto this machine's clipboard. Rejects when the browser wants a person to ask for it. */
export async function take(clip: Clip): Promise<void> {
  if (!navigator.clipboard) return takeByCommand(clip);
  const parts: Record<string, Blob> = {};
  if (clip.image) parts['image/png'] = await pngOf(clip.image);
  if (clip.html) parts['text/html'] = new Blob([clip.html], { type: 'text/html' });
  if (clip.text) parts['text/plain'] = new Blob([clip.text], { type: 'text/plain' });
  await navigator.clipboard.write([new ClipboardItem(parts)]);
}

/** The old way, which also works over plain http, right after a click. */
function takeByCommand({ text, html }: Clip): void {
  let taken = false;
  const fill = (event: ClipboardEvent) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (text) event.clipboardData?.setData('text/plain', text);
    if (html) event.clipboardData?.setData('text/html', html);
    taken = true;
  };
  addEventListener('copy', fill, { capture: true, once: true });
  document.execCommand('copy');
  removeEventListener('copy', fill, { capture: true });
  if (!taken || (!text && !html)) throw new Error('could not copy');
}

async function asPng(file: File): Promise<Blob> {
  if (file.type === 'image/png') return file;
  const image = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext('2d')?.drawImage(image, 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}

async function base64(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let binary = '';
  // In pieces: arguments of one call are limited.
  for (let at = 0; at < bytes.length; at += BASE64_CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + BASE64_CHUNK_BYTES));
  }
  return btoa(binary);
}

async function pngOf(image: string): Promise<Blob> {
  return new Blob([Uint8Array.from(atob(image), (character) => character.charCodeAt(0))], { type: 'image/png' });
}
