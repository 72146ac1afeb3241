/** What a person may send to a colleague, in the address behind `#`: which entries are looked for. */

import type { Wanted } from './entries.ts';

const PAUSE_MS = 200;

class AuditAddress {
  wanted = $state.raw<Wanted>(read());
  #writing: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    addEventListener('hashchange', () => (this.wanted = read()));
  }

  look(change: Partial<Wanted>): void {
    this.wanted = { ...this.wanted, ...change };
    // Browsers bear only so many changes of the address in a while, and a held key makes more.
    clearTimeout(this.#writing);
    this.#writing = setTimeout(() => this.#write(), PAUSE_MS);
  }

  #write(): void {
    const parameters = new URLSearchParams(location.hash.slice(1));
    for (const name of ['action', 'filter'] as const) {
      if (this.wanted[name] === '') parameters.delete(name);
      else parameters.set(name, this.wanted[name]);
    }
    const hash = parameters.toString();
    history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
  }
}

function read(): Wanted {
  const parameters = new URLSearchParams(location.hash.slice(1));
  return { action: parameters.get('action') ?? '', filter: parameters.get('filter') ?? '' };
}

export const address = new AuditAddress();
