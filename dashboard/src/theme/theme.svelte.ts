/** Light, dark, or as the system has it. public/theme.js applies a remembered choice before the first paint. */

import { fromAddress } from '../page/address.svelte.ts';
import { recall, remember } from '../page/memory.ts';

export type Theme = 'auto' | 'light' | 'dark';

const THEMES: Theme[] = ['auto', 'light', 'dark'];
const KEY = 'duto.theme';

class ThemeChoice {
  choice = $state<Theme>(chosen());
  /** Counts changes of the colours that are in force, whoever makes them: what is drawn on a canvas depends on it. */
  changes = $state(0);

  constructor() {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => (this.changes += 1));
  }

  next(): void {
    this.choice = THEMES[(THEMES.indexOf(this.choice) + 1) % THEMES.length] ?? 'auto';
    remember(KEY, this.choice);
    if (this.choice === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.choice;
    this.changes += 1;
  }
}

function chosen(): Theme {
  const kept = fromAddress('theme') ?? recall(KEY);
  return THEMES.find((theme) => theme === kept) ?? 'auto';
}

export const theme = new ThemeChoice();

let probe: HTMLElement | undefined;

/** The colour of a token as it is now, for what is drawn on a canvas: a property alone still holds both themes. */
export function colourOf(token: string): string {
  if (!probe) {
    probe = document.createElement('i');
    probe.hidden = true;
    document.body.append(probe);
  }
  probe.style.color = token.startsWith('var(') ? token : `var(${token})`;
  return getComputedStyle(probe).color;
}

/** The same, thinner. */
export function fadedColourOf(token: string, share: number): string {
  return `color-mix(in srgb, ${colourOf(token)} ${Math.round(share * 100)}%, transparent)`;
}

export function wantsStillness(): boolean {
  return matchMedia('(prefers-reduced-motion: reduce)').matches;
}
