/** The keys of the page, and what each is for. */

import type { Messages } from '../messages/en.ts';
import { reader } from '../messages/language.svelte.ts';
import { theme } from '../theme/theme.svelte.ts';
import { tooltip } from '../tooltip/tooltip.svelte.ts';
import { address } from './address.svelte.ts';
import type { Dashboard } from './dashboard.ts';

interface Places {
  dashboard: Dashboard;
  /** Numbers of the panels that have a table beside their chart. */
  charts: number[];
  openKeys: () => void;
}

/** A second key after `g` comes within so long. */
const SEQUENCE_MS = 1000;

/** As the help shows them. */
export function keysOf({ key, keyName }: Messages): [string[], string][] {
  return [
    [[keyName.space], key.pause],
    [['T'], key.table],
    [['J', 'K'], key.next],
    [['←', '→'], key.values],
    [['+', '-'], key.zoom],
    [['0'], key.reset],
    [['L'], key.language],
    [['D'], key.theme],
    [['G', 'A'], key.docs],
    [['?'], key.help],
    [[keyName.escape], key.escape],
  ];
}

/** Answers a listener for keys that no control wants for itself. */
export function keyboard({ dashboard, charts, openKeys }: Places): (event: KeyboardEvent) => void {
  let goneAt = -Infinity;
  const keys: Record<string, () => void> = {
    ' ': () => dashboard.live.togglePause(),
    t: () => toggleTables(charts),
    j: () => step(1),
    k: () => step(-1),
    l: () => reader.speakNext(),
    d: () => theme.next(),
    g: () => (goneAt = performance.now()),
    '0': () => address.setSpan(null),
    '?': openKeys,
    Escape: () => void (tooltip.dismiss() || address.setSpan(null)),
  };
  return (event) => {
    if (isTaken(event) || wants(event)) return;
    if (nameOf(event) === 'a' && performance.now() - goneAt < SEQUENCE_MS) location.assign('/docs');
    run(keys, event);
  };
}

/** Whether somebody else has a use for the key: a listener before, or the browser. */
export function isTaken(event: KeyboardEvent): boolean {
  return event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey;
}

/** Does what the key is for, if it is for anything. */
export function run(keys: Record<string, () => void>, event: KeyboardEvent): void {
  const action = keys[nameOf(event)];
  if (!action) return;
  event.preventDefault();
  action();
}

function nameOf({ key }: KeyboardEvent): string {
  return key.length === 1 ? key.toLowerCase() : key;
}

/** Whether the focused control has a use for the key: a dialog, a field, or a button that the space bar presses. */
export function wants(event: KeyboardEvent): boolean {
  const target = event.target as Element;
  if (target.closest('dialog, input, select, textarea')) return true;
  return event.key === ' ' && target.closest('button, a, summary') !== null;
}

function panels(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>('[data-panel]')];
}

/** The panel that has the focus or the pointer. */
function current(): HTMLElement | null {
  return document.activeElement?.closest<HTMLElement>('[data-panel]') ?? document.querySelector<HTMLElement>('[data-panel]:hover');
}

function step(by: 1 | -1): void {
  const all = panels();
  const at = all.findIndex((panel) => panel === current());
  const next = all[at === -1 ? (by === 1 ? 0 : all.length - 1) : Math.max(0, Math.min(at + by, all.length - 1))];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: 'nearest' });
}

function toggleTables(charts: number[]): void {
  const panel = current();
  const number = Number(panel?.dataset.panel);
  if (panel && charts.includes(number)) {
    const hadFocus = panel.contains(document.activeElement);
    address.toggleTable(number);
    // The chart that had the focus is gone: the panel has it.
    if (hadFocus) panel.focus({ preventScroll: true });
    return;
  }
  address.setTables(address.tables.size === charts.length ? new Set() : new Set(charts));
}
