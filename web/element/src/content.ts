//! The content of an augment: text, data, harmless HTML, or a node that the embedder made itself.

import type { AugmentContent } from './api.ts';
import { BrowserBoxError } from './errors.ts';
import { sanitise } from './sanitise.ts';

/** Of text, HTML, or data written out. */
const CHARACTERS_MAX = 100_000;

/** Fails for content that is none of the kinds, or too much of it. */
export function rendered(content: AugmentContent): Node {
  if (content instanceof Node) return content;
  const body = document.createElement('div');
  body.className = 'body';
  const typed = typeof content === 'string' ? { type: 'text' as const, text: content } : content;
  switch (typed.type) {
    case 'text':
      body.textContent = bounded(String(typed.text ?? typed.value ?? ''));
      break;
    case 'html': {
      const html = typed.html ?? typed.value ?? '';
      body.append(html instanceof Node ? html : sanitise(bounded(String(html))));
      break;
    }
    case 'json': {
      const data = document.createElement('pre');
      data.textContent = bounded(JSON.stringify(typed.json ?? typed.value ?? null, null, 2));
      body.append(data);
      break;
    }
    default:
      throw new BrowserBoxError(
        'ERR_INVALID_ARGUMENT',
        'augment content requires a non-empty type: text, html or json',
      );
  }
  return body;
}

function bounded(text: string): string {
  if (text.length > CHARACTERS_MAX)
    throw new BrowserBoxError('ERR_INVALID_ARGUMENT', `augment content is longer than ${CHARACTERS_MAX} characters`);
  return text;
}
