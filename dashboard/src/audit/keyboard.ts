/** The keys of the audit trail, and what each is for. */

import type { Messages } from '../messages/en.ts';
import { reader } from '../messages/language.svelte.ts';
import { isTaken, run, wants } from '../page/keyboard.ts';
import { theme } from '../theme/theme.svelte.ts';
import { tooltip } from '../tooltip/tooltip.svelte.ts';
import { address } from './address.svelte.ts';

/** As the help shows them. */
export function keysOf({ key, keyName, audit: { keys } }: Messages): [string[], string][] {
  return [
    [['/'], keys.filter],
    [['J', 'K'], keys.rows],
    [['O'], keys.older],
    [['L'], key.language],
    [['D'], key.theme],
    [['?'], key.help],
    [[keyName.escape], key.escape],
  ];
}

interface Places {
  openKeys: () => void;
  older: () => void;
}

/** Answers a listener for keys that no control wants for itself. */
export function keyboard({ openKeys, older }: Places): (event: KeyboardEvent) => void {
  const keys: Record<string, () => void> = {
    '/': () => document.getElementById('filter')?.focus(),
    j: () => step(1),
    k: () => step(-1),
    o: older,
    l: () => reader.speakNext(),
    d: () => theme.next(),
    '?': openKeys,
    Escape: () => void (tooltip.dismiss() || address.look({ action: '', filter: '' })),
  };
  return (event) => {
    if (!isTaken(event) && !wants(event)) run(keys, event);
  };
}

function step(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-entry]')];
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = rows[at === -1 ? 0 : Math.max(0, Math.min(at + by, rows.length - 1))];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: 'nearest' });
}
