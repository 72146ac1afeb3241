/** The messages that the page shows: a page of a topic, what a search finds, and what comes while it follows. */

import type { Place } from './address.svelte.ts';
import { api, type Message, type Page, placeOf } from './api.ts';
import { listen, type Events } from './events.ts';
import { readFilter } from './filter.ts';
import { readTarget } from './goto.ts';
import { readMarks, writeMarks } from './marks.ts';

/** More are never shown at once. */
const MOST_ROWS = 200;
const PAGE_ROWS = 100;
const AGAIN_MS = 2000;

export interface Search {
  scanned: number;
  remaining: number;
  found: number;
  isRunning: boolean;
  /** Why it stopped by itself; `stopped` where the reader did, `failed` where the stream broke. */
  why: 'end' | 'matches' | 'scanned' | 'stopped' | 'failed' | null;
  trouble: string;
  /** Where it goes on. */
  before: string | null;
}

type What = Pick<Place, 'topic' | 'filter' | 'partition' | 'at' | 'before'>;

export class Rows {
  messages = $state.raw<Message[]>([]);
  page = $state.raw<Page | null>(null);
  search = $state.raw<Search | null>(null);
  isLoading = $state(false);
  failure = $state('');
  isFollowing = $state(false);
  /** Messages that came faster than they could be shown. */
  passedOver = $state(0);
  /** Places of messages that came while the page followed: they flash once. */
  fresh = $state.raw<ReadonlySet<string>>(new Set());

  #what: What = { topic: null, filter: '', partition: null, at: null, before: null };
  #searching: Events | null = null;
  #following: Events | null = null;
  #turn = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Everything below these is not shown: where the next older page begins. */
  #older: Map<number, number> | null = null;

  /** Shows something else, from the beginning. */
  show(what: What): void {
    this.close();
    const isOther = what.topic !== this.#what.topic;
    this.#what = what;
    this.#turn += 1;
    this.failure = '';
    this.passedOver = 0;
    this.search = null;
    this.fresh = new Set();
    if (isOther) {
      this.messages = [];
      this.page = null;
    }
    if (!what.topic) return;
    void this.#load(what.topic, this.#turn);
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#searching?.close();
    this.#following?.close();
    this.#searching = this.#following = null;
    this.isFollowing = false;
  }

  async #load(topic: string, turn: number): Promise<void> {
    const { partition, at, before, filter } = this.#what;
    const { key, text } = readFilter(filter);
    const isSearch = key !== null || text !== null;
    this.isLoading = true;
    try {
      // A search needs of the page only what partitions there are.
      let page = await api.messages(topic, { partition, before, limit: isSearch || at ? 1 : PAGE_ROWS });
      const target = at ? readTarget(at, page.partitions.length, partition, new Date()) : null;
      if (at && !isSearch) {
        const wanted: Record<string, number | null> = target === null ? { partition } : 'time' in target ? { partition, time: target.time } : { ...target };
        page = await api.messages(topic, { ...wanted, limit: PAGE_ROWS });
      }
      if (turn !== this.#turn) return;
      this.failure = '';
      this.page = page;
      this.isLoading = false;
      if (isSearch) {
        this.messages = [];
        this.#search(topic, null);
      } else {
        this.messages = page.messages;
        this.#older = page.older === null ? null : readMarks(page.older);
      }
      if (this.#wantsToFollow) this.follow();
    } catch (problem) {
      if (turn !== this.#turn) return;
      this.isLoading = false;
      this.failure = problem instanceof Error ? problem.message : String(problem);
      this.#retry = setTimeout(() => void this.#load(topic, turn), AGAIN_MS);
    }
  }

  #wantsToFollow = false;

  /** Whether new messages are to be shown as they come, now and after what is loading. */
  wish(follows: boolean): void {
    this.#wantsToFollow = follows;
    if (follows && !this.isLoading && this.page) this.follow();
    if (!follows) {
      this.#following?.close();
      this.#following = null;
      this.isFollowing = false;
    }
  }

  follow(): void {
    const { topic, filter, partition } = this.#what;
    if (!topic || this.#following) return;
    const after = this.search ? null : (this.page?.newer ?? null);
    const address = api.followAddress(topic, { ...readFilter(filter), partition, after });
    this.isFollowing = true;
    const hear = {
      messages: (news: { messages: Message[]; passed_over: number; after: string }) => {
        this.failure = '';
        this.#take(news.messages);
        this.passedOver += news.passed_over;
        this.#note(news.after);
      },
      pulse: ({ after }: { after: string }) => {
        this.failure = '';
        this.#note(after);
      },
      trouble: ({ error }: { error: string }) => (this.failure = error),
    };
    this.#following = listen(address, hear, () => {
      this.#following = null;
      this.isFollowing = false;
      this.failure ||= 'stream';
      this.#retry = setTimeout(() => this.#wantsToFollow && this.follow(), AGAIN_MS);
    });
  }

  /** Where a later stream goes on. */
  #note(after: string): void {
    if (this.page) this.page = { ...this.page, newer: after, has_newer: false };
  }

  #take(news: Message[]): void {
    if (news.length === 0) return;
    const all = [...news, ...this.messages];
    for (const dropped of all.slice(MOST_ROWS).reverse()) {
      // The newest that is dropped counts, and it comes last.
      this.#older ??= new Map();
      this.#older.set(dropped.partition, dropped.offset + 1);
    }
    this.messages = all.slice(0, MOST_ROWS);
    this.fresh = new Set(news.map(placeOf));
  }

  /** The marks of the next older page, or null. */
  get older(): string | null {
    return this.#older && this.page && this.messages.length > 0 ? writeMarks(this.#older) : null;
  }

  #search(topic: string, before: string | null): void {
    const { filter, partition } = this.#what;
    const start: Search = this.search ?? { scanned: 0, remaining: 0, found: 0, isRunning: true, why: null, trouble: '', before: null };
    const scannedBefore = start.scanned;
    this.search = { ...start, isRunning: true, why: null, trouble: '' };
    const change = (more: Partial<Search>) => (this.search = { ...(this.search ?? start), ...more });
    const address = api.searchAddress(topic, { ...readFilter(filter), partition, before });
    const hear = {
      progress: ({ scanned, remaining, before: cursor }: { scanned: number; remaining: number; before: string }) =>
        change({ scanned: scannedBefore + scanned, remaining, before: cursor }),
      matches: ({ messages, before: cursor }: { messages: Message[]; before: string }) => {
        this.messages = [...this.messages, ...messages];
        change({ found: (this.search?.found ?? 0) + messages.length, before: cursor });
      },
      stopped: ({ why, scanned, remaining, before: cursor }: { why: Search['why']; scanned: number; remaining: number; before: string }) => {
        this.#searching?.close();
        this.#searching = null;
        change({ isRunning: false, why, scanned: scannedBefore + scanned, remaining, before: cursor });
      },
      trouble: ({ error }: { error: string }) => change({ trouble: error }),
    };
    this.#searching = listen(address, hear, () => {
      this.#searching = null;
      change({ isRunning: false, why: 'failed' });
    });
  }

  /** Ends a search; what it found stays. */
  stopSearch(): void {
    this.#searching?.close();
    this.#searching = null;
    if (this.search) this.search = { ...this.search, isRunning: false, why: 'stopped' };
  }

  /** Goes on below what a search has looked at; a full page makes room first. */
  continueSearch(): void {
    const { topic } = this.#what;
    if (!topic || !this.search) return;
    if (this.messages.length >= MOST_ROWS) this.messages = [];
    this.#search(topic, this.search.before);
  }
}
