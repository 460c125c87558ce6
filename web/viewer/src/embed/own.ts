//! The methods that this page answers by itself: about its picture, the controls around it, the person before it.

import type { View } from '../view.ts';
import type { Controls } from './controls.ts';
import { Frames } from './frames.ts';
import type { OwnMethod } from './methods.ts';
import type { Picker } from './pick.ts';
import type { EmbedTab } from './tabs.ts';

/** How things stand with the session, as far as the page knows. */
export interface Standing {
  readonly session: string;
  tabs: readonly EmbedTab[];
  /** The tab on the picture. */
  watching: string | null;
  /** Made since the page was loaded. */
  connections: number;
  connected: boolean;
}

export function ownMethods(
  standing: Standing,
  view: View,
  controls: Controls,
  picker: Picker,
): ReadonlyMap<string, OwnMethod> {
  const frames = new Frames(view.screen);
  const diagnostics = () => diagnosticsOf(standing, view);
  const frame = () =>
    frames.take({ castSessionId: standing.connections, sessionId: standing.session, targetId: standing.watching });
  return new Map<string, OwnMethod>([
    // Without a wish it is only asked how it is.
    [
      'uiVisible',
      {
        run: ([wish]) => {
          if (typeof wish === 'boolean') controls.show(wish);
          return controls.visible;
        },
      },
    ],
    [
      'allowUserToggleUI',
      {
        run: ([wish]) => {
          if (typeof wish === 'boolean') controls.allowToggle(wish);
          return controls.mayToggle;
        },
      },
    ],
    ['getTransportDiagnostics', { run: diagnostics }],
    ['health', { run: () => healthOf(standing, diagnostics()) }],
    ['getFrame', { needs: 'capture.frame', run: frame }],
    ['beginSelect', { needs: 'select.use', run: ([options]) => picker.begin(promptOf(options)) }],
    ['cancelSelect', { run: () => picker.cancel() }],
  ]);
}

function promptOf(options: unknown): unknown {
  return (options as { prompt?: unknown } | null | undefined)?.prompt;
}

function diagnosticsOf({ connected, connections }: Standing, { screen, connection }: View) {
  const { framesPerSecond, kilobitsPerSecond } = screen.figures();
  const { received, painted } = screen.counts;
  const { width, height } = screen.canvas;
  return {
    transport: 'websocket',
    connected,
    rttMs: connection.roundTripMs,
    fps: framesPerSecond,
    kbps: Math.round(kilobitsPerSecond),
    framesReceived: received,
    framesPainted: painted,
    framesDropped: screen.dropped,
    codec: screen.coding ?? 'none',
    width,
    height,
    reconnects: Math.max(connections - 1, 0),
  };
}

function healthOf({ session, connected }: Standing, diagnostics: { readonly rttMs: number | null }): object {
  return {
    ok: connected,
    usable: connected,
    ready: connected,
    transport: 'modern',
    sessionId: session,
    timestamp: Date.now(),
    latencyMs: diagnostics.rttMs,
    diagnostics,
  };
}
