/** The entries of the audit trail: how pages of them become one list, and which of them a reader asks for. */

import type { Text } from '../page/declaration.ts';

export const ACTIONS = ['replay', 'discard', 'move_position', 'send', 'sign_in_refused'] as const;
export type Action = (typeof ACTIONS)[number];

export interface Entry {
  id: number;
  at: string;
  actor: string;
  via: string;
  /** One of `ACTIONS`, unless the server is newer than this page. */
  action: string;
  what: string;
  why: string | null;
}

/** What `/duto/audit/entries` answers: newest first. */
export interface Answer {
  pipeline: string;
  /** The title of the pipeline's dashboard; null where it has none. */
  dashboard: Text | null;
  entries: Entry[];
  /** The `before` of the following page; null at the end. */
  next: number | null;
}

/** All that is loaded, without a gap, newest first. */
export interface Loaded {
  entries: Entry[];
  next: number | null;
}

/** What a reader looks for; an empty one takes everything. */
export interface Wanted {
  action: string;
  filter: string;
}

/** With the newest page, asked for again. Where it does not reach what is loaded it takes its place: a list with a gap would lie. */
export function withNewest(loaded: Loaded | null, answer: Answer): Loaded {
  const newest = loaded?.entries[0];
  const isReached = newest !== undefined && (answer.next === null || answer.next <= newest.id);
  if (!loaded || !isReached) return { entries: answer.entries, next: answer.next };
  return { entries: union(answer.entries, loaded.entries), next: loaded.next };
}

/** With the page before `before`; one that does not follow on what is loaded now is left out. */
export function withOlder(loaded: Loaded, before: number, answer: Answer): Loaded {
  if (loaded.next !== before) return loaded;
  return { entries: union(loaded.entries, answer.entries), next: answer.next };
}

/** Those of the action in which every word of the filter stands, whatever its case and accents. */
export function matching(entries: Entry[], { action, filter }: Wanted): Entry[] {
  const words = folded(filter).split(/\s+/).filter(Boolean);
  return entries.filter((entry) => {
    if (action !== '' && entry.action !== action) return false;
    const told = folded(`${entry.actor}\n${entry.what}\n${entry.why ?? ''}`);
    return words.every((word) => told.includes(word));
  });
}

/** The actions to choose from: ours, and what else there is. */
export function actionsOf(entries: Entry[], chosen: string): string[] {
  return [...new Set([...ACTIONS, ...entries.map(({ action }) => action), chosen])].filter((action) => action !== '');
}

/** By id: one that was begun earlier may be committed later, and then comes between those that are here. */
function union(left: Entry[], right: Entry[]): Entry[] {
  const all = new Map([...left, ...right].map((entry) => [entry.id, entry]));
  return [...all.values()].sort((one, other) => other.id - one.id);
}

function folded(text: string): string {
  return text.normalize('NFD').replace(/\p{Diacritic}/gu, '').toLowerCase();
}
