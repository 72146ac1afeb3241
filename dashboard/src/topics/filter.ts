/** The one box: a text, or `key:VALUE`, or both. A key with spaces stands in quotes, and one that ends in `*` is a beginning. */

export interface Filter {
  key: string | null;
  text: string | null;
}

const KEY = /(?:^|\s)key:(?:"([^"]*)"|(\S+))/;

export function readFilter(box: string): Filter {
  const found = KEY.exec(box);
  const text = (found ? box.slice(0, found.index) + box.slice(found.index + found[0].length) : box).trim();
  return { key: found?.[1] ?? found?.[2] ?? null, text: text || null };
}

/** The box for messages of this key. */
export function filterByKey(key: string): string {
  return /[\s"]/.test(key) ? `key:"${key.replaceAll('"', '')}"` : `key:${key}`;
}
