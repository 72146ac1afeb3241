/** The page's live state: the stream, the answers it asks for, and a clock for ages. */

import { Answers, NO_ANSWER, type Answer } from './answers.ts';
import { advance, BEGINNING, type LiveEvent, type LiveState } from './state.ts';
import { openStream, type Stream } from './stream.ts';

export class Live {
  state = $state.raw<LiveState>(BEGINNING);
  /** The reader's clock, once a second. */
  now = $state(Date.now());
  readonly #sources: string[];
  readonly #kept = $state<Record<string, Answer>>({});
  readonly #answers = new Answers((source, answer) => (this.#kept[source] = answer));
  #stream: Stream | undefined;

  constructor(sources: string[]) {
    this.#sources = sources;
  }

  /** Begins, and answers how to end. */
  begin(): () => void {
    this.#answers.ask(this.#sources);
    this.#stream = openStream((event) => this.#hear(event));
    const clock = setInterval(() => (this.now = Date.now()), 1000);
    return () => {
      this.#stream?.close();
      clearInterval(clock);
    };
  }

  answer(source: string): Answer {
    return this.#kept[source] ?? NO_ANSWER;
  }

  /** The newest moment from which any figure is. */
  get updatedAt(): number | null {
    const moments = this.#sources.map((source) => this.answer(source).asOf ?? 0);
    return Math.max(0, ...moments) || null;
  }

  get isPaused(): boolean {
    return this.state.paused !== null;
  }

  togglePause(): void {
    this.#hear(this.isPaused ? { kind: 'resume' } : { kind: 'pause', at: Date.now() });
  }

  retry(): void {
    this.#stream?.hurry();
  }

  #hear(event: LiveEvent): void {
    const { state, ask } = advance(this.state, event);
    if (event.kind === 'hello') this.#answers.forgive();
    this.state = state;
    // Only what this page shows.
    this.#answers.ask(ask === 'all' ? this.#sources : ask.filter((source) => this.#sources.includes(source)));
  }
}
