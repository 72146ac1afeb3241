import { leaveAfter } from '../page/session.ts';
/** The answers of the endpoints: each asked once at a time, and again after that when it changed meanwhile. */

export interface Answer {
  /** The parsed body of the last good answer; undefined before the first. */
  data: unknown;
  /** The moment from which the figures are, by the server's clock, in milliseconds. */
  asOf: number | null;
  /** `0:123,1:456` */
  position: string;
  /** Why the last request failed, and since when they do; the data is the last good one. */
  failure: { reason: string; since: number; status: number } | null;
}

export const NO_ANSWER: Answer = { data: undefined, asOf: null, position: '', failure: null };

/** An endpoint that failed is asked again after so long, sooner at first: a program that has just begun makes its tables. */
const AGAIN_MS = [250, 500, 1000, 2000];

interface Slot {
  answer: Answer;
  etag: string;
  busy: boolean;
  stale: boolean;
  again: ReturnType<typeof setTimeout> | undefined;
  failures: number;
}

export class Answers {
  readonly #slots = new Map<string, Slot>();
  readonly #publish: (source: string, answer: Answer) => void;
  readonly #fetch: typeof fetch;

  /** `publish` gets each answer that differs from the one before. */
  constructor(publish: (source: string, answer: Answer) => void, fetcher: typeof fetch = (input, init) => fetch(input, init)) {
    this.#publish = publish;
    this.#fetch = fetcher;
  }

  /** Asks these endpoints. One that is being asked is asked once more when its answer is there, however often this is called. */
  ask(sources: Iterable<string>): void {
    for (const source of sources) void this.#ask(source);
  }

  /** The server is back: that it did not answer is no news any more. */
  forgive(): void {
    for (const [source, slot] of this.#slots) {
      if (slot.answer.failure?.status !== 0) continue;
      slot.answer = { ...slot.answer, failure: null };
      slot.failures = 0;
      this.#publish(source, slot.answer);
    }
  }

  async #ask(source: string): Promise<void> {
    const slot = this.#slots.get(source) ?? { answer: NO_ANSWER, etag: '', busy: false, stale: false, again: undefined, failures: 0 };
    this.#slots.set(source, slot);
    if (slot.busy) {
      slot.stale = true;
      return;
    }
    slot.busy = true;
    clearTimeout(slot.again);
    try {
      const answer = await this.#request(source, slot);
      if (answer !== slot.answer) {
        slot.answer = answer;
        this.#publish(source, answer);
      }
    } finally {
      slot.busy = false;
    }
    const pause = AGAIN_MS[Math.min(slot.failures, AGAIN_MS.length - 1)];
    slot.failures = slot.answer.failure ? slot.failures + 1 : 0;
    if (slot.stale) {
      slot.stale = false;
      void this.#ask(source);
    } else if (slot.answer.failure) {
      slot.again = setTimeout(() => void this.#ask(source), pause);
    }
  }

  async #request(source: string, slot: Slot): Promise<Answer> {
    const { answer } = slot;
    const failed = (reason: string, status: number): Answer => ({
      ...answer,
      failure: { reason, status, since: answer.failure?.since ?? Date.now() },
    });
    let response: Response;
    try {
      response = await this.#fetch(source, { headers: slot.etag ? { 'if-none-match': slot.etag } : {} });
      leaveAfter(response.status);
      const asOf = Date.parse(response.headers.get('x-duto-as-of') ?? '') || Date.now();
      const position = response.headers.get('x-duto-position') ?? '';
      if (response.status === 304) {
        const same = answer.asOf === asOf && answer.position === position && !answer.failure;
        return same ? answer : { ...answer, asOf, position, failure: null };
      }
      // `row:` that finds none: nothing is there yet, and nothing failed.
      if (response.status === 404) return { data: null, asOf, position, failure: null };
      const body: unknown = await response.json().catch(() => null);
      if (!response.ok) {
        const reason = body !== null && typeof body === 'object' && 'error' in body ? String(body.error) : `HTTP ${response.status}`;
        return failed(reason, response.status);
      }
      slot.etag = response.headers.get('etag') ?? '';
      return { data: body, asOf, position, failure: null };
    } catch (problem) {
      return failed(problem instanceof Error ? problem.message : String(problem), 0);
    }
  }
}
