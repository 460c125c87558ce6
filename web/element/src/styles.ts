//! The element's own looks. Constructed sheets, because an embedder's content policy may forbid inline styles.

export const HOST_STYLE = `
:host { display: block; position: relative; width: 100%; height: 100%; overflow: hidden; }
:host([hidden]) { display: none; }
iframe { display: block; width: 100%; height: 100%; border: 0; }
.augments { position: absolute; inset: 0; overflow: hidden; pointer-events: none; }
`;

export const AUGMENT_STYLE = `
:host { font: 14px/1.4 system-ui, sans-serif; color-scheme: light dark; }
.space {
  position: absolute; inset: 0; display: flex; flex-direction: column; justify-content: flex-end; align-items: center; gap: 8px;
  box-sizing: border-box; padding-bottom: 16px; overflow: hidden; pointer-events: none;
}
.space.chrome { height: 48px; inset: 0 0 auto; }
[hidden] { display: none !important; }
.augment {
  position: absolute; box-sizing: border-box; max-width: 100%; max-height: 100%; overflow: auto; padding: 10px 12px;
  border: 1px solid light-dark(#d9dedc, #2d3634); border-radius: 8px; pointer-events: auto; overflow-wrap: anywhere;
  color: light-dark(#17201d, #e8edeb); background: light-dark(#fff, #212827); box-shadow: 0 4px 16px #0003;
}
.sidebar { inset: 0 0 0 auto; width: 280px; border-width: 0 0 0 1px; border-radius: 0; }
.sidebar[data-side=left] { inset: 0 auto 0 0; border-width: 0 1px 0 0; }
.toolbar { inset: 0 0 auto; min-height: 42px; border-width: 0 0 1px; border-radius: 0; }
.toolbar[data-side=bottom] { inset: auto 0 0; border-width: 1px 0 0; }
.space:has(> .toolbar:not([data-side=bottom])) > .sidebar { top: 42px; }
.toast { position: relative; flex: none; }
.panel { inset: 16px 16px auto auto; width: min(320px, 90%); }
.custom { inset: 0 auto auto 0; }
.highlight {
  padding: 0; border: 2px solid #0b6b5c; background: #0b6b5c26; box-shadow: 0 0 0 1px #fff; pointer-events: none; overflow: visible;
}
.note { max-width: 280px; margin-left: 6px; }
.badge {
  padding: 0 7px; border: 0; border-radius: 10px; translate: -50% -50%; font-size: 12px; color: #fff; background: #0b6b5c;
}
.title { padding-right: 28px; font-weight: 600; }
.body { white-space: pre-wrap; }
.body:has(> *) { white-space: normal; }
pre { margin: 0; white-space: pre-wrap; }
.close {
  position: absolute; inset: 4px 4px auto auto; width: 28px; height: 28px; border: 0; border-radius: 6px; color: inherit;
  background: none; font: inherit;
}
.close:focus-visible { outline: 2px solid #0b6b5c; }
`;

export function sheet(text: string): CSSStyleSheet {
  const made = new CSSStyleSheet();
  made.replaceSync(text);
  return made;
}
