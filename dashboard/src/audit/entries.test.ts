import { describe, expect, it } from 'vitest';
import { actionsOf, matching, withNewest, withOlder, type Answer, type Entry, type Loaded } from './entries.ts';

const entry = (id: number, more: Partial<Entry> = {}): Entry => ({
  id, at: new Date(id * 1000).toISOString(), actor: 'ana', via: 'command', action: 'replay', what: '12 rejects replayed', why: null, ...more,
});
const answer = (next: number | null, ...ids: number[]): Answer => ({ pipeline: 'sales', dashboard: null, entries: ids.map((id) => entry(id)), next });
const ids = ({ entries }: Pick<Loaded, 'entries'>): number[] => entries.map(({ id }) => id);

describe('the list', () => {
  it('begins with the newest page and goes on with older ones', () => {
    const newest = withNewest(null, answer(8, 10, 9, 8));
    const both = withOlder(newest, 8, answer(null, 7, 6));
    expect(ids(both)).toEqual([10, 9, 8, 7, 6]);
    expect(both.next).toBeNull();
  });

  it('takes what came since, also what was committed late, and keeps its end', () => {
    const loaded = withOlder(withNewest(null, answer(8, 10, 8)), 8, answer(5, 7, 5));
    const now = withNewest(loaded, answer(9, 12, 11, 10, 9));
    expect(ids(now)).toEqual([12, 11, 10, 9, 8, 7, 5]);
    expect(now.next).toBe(5);
  });

  it('begins anew where more came than a page has', () => {
    const now = withNewest(withNewest(null, answer(1, 3, 2, 1)), answer(7, 9, 8, 7));
    expect(ids(now)).toEqual([9, 8, 7]);
    expect(now.next).toBe(7);
  });

  it('takes the first entries of a trail that was empty', () => {
    expect(ids(withNewest(withNewest(null, answer(null)), answer(null, 1)))).toEqual([1]);
  });

  it('leaves out an older page that does not follow any more', () => {
    const loaded = withNewest(null, answer(7, 9, 8, 7));
    expect(withOlder(loaded, 3, answer(null, 2, 1))).toBe(loaded);
  });
});

describe('the filter', () => {
  const entries = [
    entry(3, { actor: 'João', what: 'partition 0 moved from 7 to 3', action: 'move_position', why: 'the price list was mended' }),
    entry(2, { actor: 'ana', what: '3 rejects discarded', action: 'discard' }),
    entry(1, { actor: 'unknown', via: 'http', action: 'sign_in_refused', what: 'a key that is not known' }),
  ];
  const found = (action: string, filter: string): number[] => matching(entries, { action, filter }).map(({ id }) => id);

  it.each([
    ['', '', [3, 2, 1]],
    ['discard', '', [2]],
    ['', 'joao', [3]],
    ['', 'PRICE mended', [3]],
    ['', 'moved price', [3]],
    ['', 'ana price', []],
    ['discard', 'key', []],
    ['', '  ', [3, 2, 1]],
  ])('takes of the action %j with the text %j the entries %j', (action, filter, expected) => {
    expect(found(action, filter)).toEqual(expected);
  });

  it('offers every action, also those of a newer server and of the address', () => {
    const known = ['replay', 'discard', 'move_position', 'send', 'sign_in_refused'];
    expect(actionsOf(entries, '')).toEqual(known);
    expect(actionsOf([entry(1, { action: 'rename' })], 'merge')).toEqual([...known, 'rename', 'merge']);
  });
});
