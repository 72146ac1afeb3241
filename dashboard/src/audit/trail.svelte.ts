/** The audit trail as far as it is loaded: its newest entries are asked for again and again while the page is seen. */

import type { Text } from '../page/declaration.ts';
import { leaveAfter } from '../page/session.ts';
import { withNewest, withOlder, type Answer, type Entry, type Loaded } from './entries.ts';

const INTERVAL_MS = 5000;
const PATIENCE_MS = 15_000;
/** The address without parameters is the one that audit.html begins to load. */
const ADDRESS = '/duto/audit/entries';

export interface Failure {
  /** `offline`: the server did not answer; `forbidden`: this reader may not look at the trail. */
  kind: 'offline' | 'forbidden' | 'failed';
  /** What the server said. */
  reason: string;
  since: number;
}

class Refused extends Error {
  constructor(
    readonly status: number,
    reason: string,
  ) {
    super(reason);
  }
}

export class Trail {
  pipeline = $state.raw<string | null>(null);
  /** The title of its dashboard, if it has one. */
  dashboard = $state.raw<Text | null>(null);
  /** When the newest entries came, in milliseconds since 1970. */
  asOf = $state.raw<number | null>(null);
  failure = $state.raw<Failure | null>(null);
  isLoadingOlder = $state(false);
  olderFailure = $state.raw<Failure | null>(null);
  /** Those that came while the page was open. */
  fresh = $state.raw<ReadonlySet<number>>(new Set());
  #loaded = $state.raw<Loaded | null>(null);

  get entries(): Entry[] | null {
    return this.#loaded?.entries ?? null;
  }

  get hasOlder(): boolean {
    return this.#loaded?.next != null;
  }

  /** Answers how to end it. */
  begin(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOver = false;
    const look = async () => {
      clearTimeout(timer);
      await this.#look();
      if (!isOver && !document.hidden && this.failure?.kind !== 'forbidden') timer = setTimeout(look, INTERVAL_MS);
    };
    const seen = () => {
      if (!document.hidden) void look();
    };
    document.addEventListener('visibilitychange', seen);
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }

  async older(): Promise<void> {
    const before = this.#loaded?.next;
    if (before == null || this.isLoadingOlder) return;
    this.isLoadingOlder = true;
    try {
      const answer = await ask(`${ADDRESS}?before=${before}`);
      if (this.#loaded) this.#loaded = withOlder(this.#loaded, before, answer);
      this.olderFailure = null;
    } catch (problem) {
      this.olderFailure = failureOf(problem, null);
    }
    this.isLoadingOlder = false;
  }

  async #look(): Promise<void> {
    try {
      const answer = await ask(ADDRESS);
      const known = new Set(this.entries?.map(({ id }) => id));
      if (this.entries) this.fresh = new Set(answer.entries.map(({ id }) => id).filter((id) => !known.has(id)));
      this.#loaded = withNewest(this.#loaded, answer);
      this.pipeline = answer.pipeline;
      this.dashboard = answer.dashboard;
      this.asOf = Date.now();
      this.failure = null;
    } catch (problem) {
      this.failure = failureOf(problem, this.failure);
    }
  }
}

async function ask(address: string): Promise<Answer> {
  const response = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MS) });
  leaveAfter(response.status);
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as Answer;
  throw new Refused(response.status, saidBy(text) || `HTTP ${response.status}`);
}

function saidBy(text: string): string {
  try {
    return (JSON.parse(text) as { error?: string }).error ?? '';
  } catch {
    return text.trim();
  }
}

function failureOf(problem: unknown, before: Failure | null): Failure {
  const since = before?.since ?? Date.now();
  if (!(problem instanceof Refused)) return { kind: 'offline', reason: '', since };
  return { kind: problem.status === 403 ? 'forbidden' : 'failed', reason: problem.message, since };
}
