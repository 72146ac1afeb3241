/** What became of the messages that are shown, asked for until it is known. */

import { api, type Message, type Outcome, type PipelineOutcomes, placeOf } from './api.ts';

const INTERVAL_MS = 1000;
/** While a database is away. */
const AWAY_MS = 3000;
/** Places of one question. */
const MOST_PLACES = 200;

export class Outcomes {
  /** By place, then by pipeline. */
  known = $state.raw<ReadonlyMap<string, ReadonlyMap<string, Outcome>>>(new Map());
  /** Pipelines whose database does not answer, and why. */
  away = $state.raw<ReadonlyMap<string, string>>(new Map());

  #topic: string | null = null;
  #wanted: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAsking = false;

  /** These are shown now, by a topic that pipelines read. */
  want(topic: string | null, messages: Message[]): void {
    if (topic !== this.#topic) {
      this.known = new Map();
      this.away = new Map();
      this.#topic = topic;
    }
    this.#wanted = messages.map(placeOf);
    if (!this.#isAsking) this.#plan(0);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#topic = null;
  }

  #plan(pause: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), pause);
  }

  async #ask(): Promise<void> {
    const topic = this.#topic;
    const open = this.#wanted.filter((place) => !this.#isSettled(place)).slice(0, MOST_PLACES);
    if (!topic || open.length === 0 || document.hidden) return;
    this.#isAsking = true;
    try {
      const { pipelines } = await api.outcomes(topic, open);
      if (topic === this.#topic) this.#take(pipelines);
    } catch {
      // The list says that the server is away.
    } finally {
      this.#isAsking = false;
    }
    this.#plan(this.away.size > 0 ? AWAY_MS : INTERVAL_MS);
  }

  /** What waits changes; all else stays as it is. */
  #isSettled(place: string): boolean {
    const outcomes = this.known.get(place);
    return outcomes !== undefined && this.away.size === 0 && [...outcomes.values()].every(({ outcome }) => outcome !== 'waiting');
  }

  #take(pipelines: PipelineOutcomes[]): void {
    const known = new Map([...this.known].filter(([place]) => this.#wanted.includes(place)));
    for (const { pipeline, outcomes } of pipelines) {
      for (const outcome of outcomes) {
        const place = placeOf(outcome);
        known.set(place, new Map(known.get(place)).set(pipeline, outcome));
      }
    }
    this.known = known;
    this.away = new Map(pipelines.flatMap(({ pipeline, away }) => (away === null ? [] : [[pipeline, away] as const])));
  }
}
