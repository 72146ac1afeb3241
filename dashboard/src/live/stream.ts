/** `/duto/live`, opened again when it breaks, sooner at first. */

import type { LiveEvent, Positions, Pulse } from './state.ts';

const PATH = '/duto/live';
const PATIENCE_MS = [250, 500, 1000, 2000];
/** A pulse comes every two seconds: a stream that is silent for longer than this may be half open. */
const SILENCE_MS = 7000;
const PROBE_MS = 2000;
/** A page that nobody sees for so long lets its connection go: a browser has six to a server, and every tab would hold one. */
const UNSEEN_MS = 30_000;

export interface Stream {
  close(): void;
  /** Tries now instead of after the pause. */
  hurry(): void;
}

/** Opens the stream. `hear` gets what it says, and `lost` each time it breaks or does not open. */
export function openStream(hear: (event: LiveEvent) => void): Stream {
  let source: EventSource | null = null;
  let failures = 0;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let unseen: ReturnType<typeof setTimeout> | undefined;
  let isAsleep = false;

  const end = () => {
    clearTimeout(retry);
    clearTimeout(silence);
    source?.close();
  };

  const connect = () => {
    end();
    isAsleep = false;
    const opened = new EventSource(PATH);
    source = opened;
    const on = <Body>(name: string, read: (body: Body) => LiveEvent) =>
      opened.addEventListener(name, (message) => {
        watch();
        if (name === 'hello') failures = 0;
        hear(read(JSON.parse((message as MessageEvent<string>).data) as Body));
      });
    on<{ positions: Positions }>('hello', ({ positions }) => ({ kind: 'hello', positions }));
    on<{ positions: Positions; sources: string[] }>('changed', ({ positions, sources }) => ({ kind: 'changed', positions, sources }));
    on<{ sources: string[] }>('tick', ({ sources }) => ({ kind: 'tick', sources }));
    on<Pulse>('pulse', (pulse) => ({ kind: 'pulse', pulse }));
    // The browser's own way back waits for three seconds, and for ever after some answers.
    opened.addEventListener('error', broken);
    watch();
  };

  const broken = () => {
    end();
    hear({ kind: 'lost', at: Date.now() });
    retry = setTimeout(connect, PATIENCE_MS[Math.min(failures, PATIENCE_MS.length - 1)]);
    failures += 1;
  };

  const watch = () => {
    clearTimeout(silence);
    const watched = source;
    silence = setTimeout(async () => {
      const lives = await answers();
      // Another stream may have begun, or this page may sleep, while the answer was waited for.
      if (source === watched && !isAsleep) lives ? watch() : broken();
    }, SILENCE_MS);
  };

  // A machine that wakes up, or a network that is back, need not wait.
  const hurry = () => {
    if (failures > 0) connect();
  };
  const seen = () => {
    clearTimeout(unseen);
    if (!document.hidden) {
      if (isAsleep) connect();
      return;
    }
    unseen = setTimeout(() => {
      isAsleep = true;
      end();
    }, UNSEEN_MS);
  };
  addEventListener('online', hurry);
  document.addEventListener('visibilitychange', seen);
  connect();
  return {
    hurry,
    close() {
      removeEventListener('online', hurry);
      document.removeEventListener('visibilitychange', seen);
      clearTimeout(unseen);
      end();
    },
  };
}

/** Whether the server lives, though its stream is silent: it may wait for the database. */
async function answers(): Promise<boolean> {
  try {
    return (await fetch('/livez', { cache: 'no-store', signal: AbortSignal.timeout(PROBE_MS) })).ok;
  } catch {
    return false;
  }
}
