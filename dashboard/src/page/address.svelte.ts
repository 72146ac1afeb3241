/**
 * What a person may send to a colleague, in the address behind `#`: which panels show their table, and the span of time that is
 * looked at. `theme` and `lang` are read, for a screen on a wall, but never written: they are the reader's own.
 */

export interface Span {
  /** Seconds since 1970. */
  from: number;
  to: number;
}

class Address {
  /** Numbers of panels in the order of the file, from 1. */
  tables = $state.raw<ReadonlySet<number>>(new Set());
  /** What all timelines show; null for all of it. */
  span = $state.raw<Span | null>(null);

  constructor() {
    this.#read();
    addEventListener('hashchange', () => this.#read());
  }

  toggleTable(panel: number): void {
    const tables = new Set(this.tables);
    if (!tables.delete(panel)) tables.add(panel);
    this.setTables(tables);
  }

  setTables(tables: ReadonlySet<number>): void {
    this.tables = tables;
    this.#write();
  }

  setSpan(span: Span | null): void {
    this.span = span;
    this.#write();
  }

  #read(): void {
    const parameters = new URLSearchParams(location.hash.slice(1));
    this.tables = readTables(parameters.get('table'));
    this.span = readSpan(parameters.get('from'), parameters.get('to'));
  }

  #write(): void {
    const parameters = new URLSearchParams(location.hash.slice(1));
    const set = (name: string, value: string | null) => (value === null ? parameters.delete(name) : parameters.set(name, value));
    set('table', this.tables.size > 0 ? [...this.tables].sort((a, b) => a - b).join(',') : null);
    set('from', this.span && writeSecond(this.span.from));
    set('to', this.span && writeSecond(this.span.to));
    // Commas and colons are allowed in a fragment, and easier to read.
    const hash = parameters.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
    history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
  }
}

export const address = new Address();

export function fromAddress(name: string): string | null {
  return new URLSearchParams(location.hash.slice(1)).get(name);
}

function readTables(text: string | null): ReadonlySet<number> {
  return new Set((text ?? '').split(',').map(Number).filter((number) => Number.isInteger(number) && number > 0));
}

function readSpan(from: string | null, to: string | null): Span | null {
  const span = { from: Date.parse(from ?? '') / 1000, to: Date.parse(to ?? '') / 1000 };
  return span.to > span.from ? span : null;
}

function writeSecond(seconds: number): string {
  return new Date(Math.round(seconds) * 1000).toISOString().replace('.000Z', 'Z');
}
