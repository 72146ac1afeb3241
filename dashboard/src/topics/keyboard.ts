/** The keys of the topic browser, and what each is for. */

import type { Messages } from '../messages/en.ts';
import { reader } from '../messages/language.svelte.ts';
import { isTaken, run, wants } from '../page/keyboard.ts';
import { theme } from '../theme/theme.svelte.ts';
import { tooltip } from '../tooltip/tooltip.svelte.ts';
import { address } from './address.svelte.ts';

/** As the help shows them. */
export function keysOf({ key, keyName, topics: { keys } }: Messages): [string[], string][] {
  return [
    [['/'], keys.search],
    [['J', 'K'], keys.rows],
    [['enter'], keys.open],
    [[keyName.space], keys.follow],
    [['N'], keys.produce],
    [['[', ']'], keys.topics],
    [['L'], key.language],
    [['D'], key.theme],
    [['?'], key.help],
    [[keyName.escape], key.escape],
  ];
}

interface Places {
  openKeys: () => void;
  produce: () => void;
}

/** Answers a listener for keys that no control wants for itself. */
export function keyboard({ openKeys, produce }: Places): (event: KeyboardEvent) => void {
  const keys: Record<string, () => void> = {
    '/': () => document.getElementById('filter')?.focus(),
    j: () => step(1),
    k: () => step(-1),
    ' ': () => address.go({ follow: !address.place.follow, ...(address.place.follow ? {} : { at: null, before: null }) }),
    n: produce,
    '[': () => stepTopic(-1),
    ']': () => stepTopic(1),
    l: () => reader.speakNext(),
    d: () => theme.next(),
    '?': openKeys,
    Escape: () => void (tooltip.dismiss() || back()),
  };
  return (event) => {
    if (isTaken(event)) return;
    // A row opens by enter; the space bar is the page's.
    const isRow = (event.target as Element).closest?.('[data-row]') !== null;
    if (wants(event) && !(event.key === ' ' && isRow)) return;
    run(keys, event);
  };
}

/** One thing after the other: the message, the filter, the place, and on a small screen the topic. */
function back(): void {
  const { open, filter, at, before } = address.place;
  if (open !== null) {
    address.go({ open: null });
    document.querySelector<HTMLElement>(`[data-row="${CSS.escape(open)}"]`)?.focus();
  } else if (filter || at || before) {
    address.go({ filter: '', at: null, before: null });
  } else if (matchMedia('(max-width: 767px)').matches) {
    address.choose(null);
  }
}

function step(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const { open } = address.place;
  const current = open === null ? document.activeElement?.closest<HTMLElement>('[data-row]') : rows.find((row) => row.dataset.row === open);
  const at = current ? rows.indexOf(current) : -1;
  const next = rows[at === -1 ? 0 : Math.max(0, Math.min(at + by, rows.length - 1))];
  if (!next) return;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: 'nearest' });
  if (open !== null) address.go({ open: next.dataset.row ?? null });
}

function stepTopic(by: 1 | -1): void {
  const names = [...document.querySelectorAll<HTMLElement>('[data-topic]')].map((topic) => topic.dataset.topic ?? '');
  const at = names.indexOf(address.place.topic ?? '');
  const next = names[at === -1 ? 0 : Math.max(0, Math.min(at + by, names.length - 1))];
  if (next && next !== address.place.topic) address.choose(next);
}
