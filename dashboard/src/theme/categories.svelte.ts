/**
 * The colours of categories. A field that a donut or a pie is labelled by has colours; wherever else it appears, it has the same.
 * They are remembered, so that a category that comes later takes no other's colour.
 */

import { untrack } from 'svelte';
import type { PanelDeclaration, Row } from '../page/declaration.ts';
import { assign, mark } from './palette.ts';

export class Categories {
  readonly #fields: string[];
  #given = $state.raw<ReadonlyMap<string, ReadonlyMap<string, number>>>(new Map());
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'> | null;
  readonly #key: string;

  constructor(pipeline: string, ofCategories: PanelDeclaration[], storage: Pick<Storage, 'getItem' | 'setItem'> | null) {
    this.#fields = [...new Set(ofCategories.flatMap((panel) => panel.label ?? []))];
    this.#storage = storage;
    this.#key = `duto.colours.${pipeline}`;
    this.#given = this.#recalled();
  }

  /**
   * Gives the categories of these rows their colours, all at once: so their order does not matter. Only the rows of a donut or a
   * pie are given, for theirs are all that there are.
   */
  learn(rows: Row[]): void {
    untrack(() => {
      for (const field of this.#fields) {
        const given = this.#given.get(field) ?? new Map<string, number>();
        const all = assign(given, rows.filter((row) => (row[field] ?? null) !== null).map((row) => String(row[field])));
        if (all.size === given.size) continue;
        this.#given = new Map(this.#given).set(field, all);
        this.#remember();
      }
    });
  }

  /** The category of a row: by the panel's own label, else by another field that has colours. */
  categoryOf(row: Row, label: string): { field: string; name: string } | null {
    const field = [label, ...this.#fields].find((one) => this.#fields.includes(one) && row[one] !== undefined && row[one] !== null);
    return field === undefined ? null : { field, name: String(row[field]) };
  }

  has(field: string): boolean {
    return this.#fields.includes(field);
  }

  /** The colour of a row's mark; null when nothing gives it one. */
  colourOf(row: Row, label: string): string | null {
    const category = this.categoryOf(row, label);
    const place = category && this.#given.get(category.field)?.get(category.name);
    return place === null || place === undefined ? null : mark(place);
  }

  #recalled(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    try {
      const kept = JSON.parse(this.#storage?.getItem(this.#key) ?? '{}') as Record<string, Record<string, number>>;
      return new Map(this.#fields.map((field) => [field, new Map(Object.entries(kept[field] ?? {}))]));
    } catch {
      // Without a memory the hash still gives the same colours.
      return new Map();
    }
  }

  #remember(): void {
    const all = Object.fromEntries([...this.#given].map(([field, given]) => [field, Object.fromEntries(given)]));
    try {
      this.#storage?.setItem(this.#key, JSON.stringify(all));
    } catch {
      // As above.
    }
  }
}
