/** The words of an entry's codes. One that a newer server has stands as it is. */

import type { Messages } from '../messages/en.ts';

type Words = Messages['audit'];

export function nameOf(action: string, { action: names }: Words): string {
  return named(names, action);
}

export function wayOf(via: string, { via: names }: Words): string {
  return named(names, via);
}

function named(names: Record<string, string>, code: string): string {
  return Object.hasOwn(names, code) ? (names[code] ?? code) : code;
}
