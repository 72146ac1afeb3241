/**
 * Okabe and Ito's colours in their order, begun at blue, and each tuned per theme so that a mark has a contrast of 3:1 to what is
 * behind it. The hues themselves stand in tokens.css as --mark-0 and so on.
 */

export const MARKS = 7;
/** The rest of a donut, and whatever is no category. */
export const OTHERS = 'var(--mark-others)';

export function mark(index: number): string {
  return `var(--mark-${((index % MARKS) + MARKS) % MARKS})`;
}

/** FNV-1a: the same name has the same place everywhere. */
export function placeOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) {
    hash ^= byte;
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash % MARKS;
}

/**
 * Gives each name without a colour the place of its hash, or the next one that is free; beyond the palette's size colours repeat. The
 * order in which names are given does not matter, and a name that has a colour keeps it.
 */
export function assign(given: ReadonlyMap<string, number>, names: Iterable<string>): Map<string, number> {
  const all = new Map(given);
  for (const name of [...new Set(names)].filter((name) => !all.has(name)).sort()) {
    const used = [...all.values()];
    // How often a place is taken: the first of those that are taken least, from the hash on.
    const count = (place: number) => used.filter((one) => one === place).length;
    const places = Array.from({ length: MARKS }, (_, step) => (placeOf(name) + step) % MARKS);
    const least = Math.min(...places.map(count));
    all.set(name, places.find((place) => count(place) === least) ?? 0);
  }
  return all;
}
