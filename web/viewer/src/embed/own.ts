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
  return new Map<string, OwnMethod>([
    [
      'uiVisible',
      {
        run: ([visible]) =>
          setUnlessAsked(
            visible,
            (wish) => controls.show(wish),
            () => controls.visible,
          ),
      },
    ],
    [
      'allowUserToggleUI',
      {
        run: ([allow]) =>
          setUnlessAsked(
            allow,
            (wish) => controls.allowToggle(wish),
            () => controls.mayToggle,
          ),
      },
    ],
    ['getTransportDiagnostics', { run: diagnostics }],
    ['health', { run: () => healthOf(standing, diagnostics()) }],
    [
      'getFrame',
      {
        needs: 'capture.frame',
        run: () =>
          frames.take({
            castSessionId: standing.connections,
            sessionId: standing.session,
            targetId: standing.watching,
          }),
      },
    ],
    [
      'beginSelect',
      { needs: 'select.use', run: ([wish]) => picker.begin((wish as { prompt?: unknown } | null)?.prompt) },
    ],
    ['cancelSelect', { run: () => picker.cancel() }],
  ]);
}

/** Without a wish it is only asked how it is. */
function setUnlessAsked(wish: unknown, set: (wish: boolean) => void, is: () => boolean): boolean {
  if (typeof wish === 'boolean') set(wish);
  return is();
}

interface Diagnostics {
  readonly rttMs: number | null;
}

function diagnosticsOf({ connected, connections }: Standing, { screen, connection }: View): Diagnostics {
  const { framesPerSecond, kilobitsPerSecond } = screen.figures();
  const { received, painted } = screen.counts;
  const { width, height } = screen.canvas;
  const figures = {
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
  return figures;
}

function healthOf({ session, connected }: Standing, diagnostics: Diagnostics): object {
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
