import { describe, expect, it } from 'vitest';
import type { PanelDeclaration } from '../page/declaration.ts';
import { Categories } from './categories.svelte.ts';
import { assign, mark, MARKS, placeOf } from './palette.ts';

const NAMES = ['Electronics', 'Fashion', 'Books', 'Sports', 'Home', 'Furniture'];

describe('the palette', () => {
  it('knows a name again', () => {
    expect(placeOf('Electronics')).toBe(placeOf('Electronics'));
    expect(NAMES.every((name) => placeOf(name) < MARKS)).toBe(true);
    expect(mark(MARKS + 1)).toBe('var(--mark-1)');
  });

  it('gives as many names as it has colours a colour of their own, in any order', () => {
    const given = assign(new Map(), NAMES);
    expect(new Set(given.values()).size).toBe(NAMES.length);
    expect(assign(new Map(), [...NAMES].reverse())).toEqual(given);
  });

  it('takes no colour away when more names come', () => {
    const first = assign(new Map(), NAMES);
    const more = assign(first, ['Art', 'Toys', 'Zoo']);
    expect(NAMES.map((name) => more.get(name))).toEqual(NAMES.map((name) => first.get(name)));
  });
});

describe('categories', () => {
  const panels = [{ kind: 'donut', label: 'category' }] as PanelDeclaration[];

  it('keep their colour in every panel and after a reload', () => {
    const kept = new Map<string, string>();
    const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, text: string) => void kept.set(key, text) };
    const page = new Categories('shop', panels, storage);
    page.learn(NAMES.map((category) => ({ category })));
    const colour = page.colourOf({ category: 'Books' }, 'category');
    expect(colour).toMatch(/^var\(--mark-\d\)$/);
    expect(page.colourOf({ name: 'Gatsby', category: 'Books' }, 'name')).toBe(colour);
    expect(page.colourOf({ name: 'Gatsby' }, 'name')).toBeNull();
    const again = new Categories('shop', panels, storage);
    again.learn([{ category: 'Art' }]);
    expect(again.colourOf({ category: 'Books' }, 'category')).toBe(colour);
  });
});
