import { describe, expect, it } from 'vitest';
import { filterByKey, readFilter } from './filter.ts';
import { readTarget } from './goto.ts';
import { pretty, prettyText } from './pretty.ts';

describe('pretty JSON', () => {
  it('only adds space: numbers and texts stay as they were sent', () => {
    const sent = '{"id":12345678901234567890,"price":1.10,"tags":[],"at":{"x":-1e400,"s":"a \\"b\\": {,"},"list":[1,[true,null]],"none":{}}';
    expect(prettyText(sent)).toBe(
      [
        '{', '  "id": 12345678901234567890,', '  "price": 1.10,', '  "tags": [],', '  "at": {', '    "x": -1e400,', '    "s": "a \\"b\\": {,"', '  },',
        '  "list": [', '    1,', '    [', '      true,', '      null', '    ]', '  ],', '  "none": {}', '}',
      ].join('\n'),
    );
    expect(prettyText(prettyText(sent))).toBe(prettyText(sent));
  });

  it('tells keys from texts', () => {
    expect(pretty('{"a":"b"}')?.flat().map(({ kind, text }) => `${kind} ${text.trim()}`)).toEqual(['mark {', 'mark ', 'key "a"', 'mark :', 'text "b"', 'mark }']);
  });

  it.each(['not JSON', '{"a": }', '{"a": 1', '', '{"a": 01}', 'NaN'])('leaves %s alone', (text) => {
    expect(pretty(text)).toBeNull();
    expect(prettyText(text)).toBe(text);
  });
});

describe('the filter', () => {
  it.each([
    ['', null, null],
    ['abc def', null, 'abc def'],
    ['key:USER001', 'USER001', null],
    ['key:USER*', 'USER*', null],
    ['key:"a b" city', 'a b', 'city'],
    ['monkey:x', null, 'monkey:x'],
    ['paid key:7', '7', 'paid'],
  ])('%s', (box, key, text) => expect(readFilter(box)).toEqual({ key, text }));

  it('of a key comes back as that key', () => {
    for (const key of ['7', 'a b', 'USER001']) expect(readFilter(filterByKey(key)).key).toBe(key);
  });
});

describe('a place to go to', () => {
  const now = new Date(2025, 9, 12, 20, 0);
  it.each([
    ['0:120', 4, null, { partition: 0, offset: 120 }],
    ['3/7', 4, null, { partition: 3, offset: 7 }],
    ['120', 4, 2, { partition: 2, offset: 120 }],
    ['120', 1, null, { partition: 0, offset: 120 }],
    ['120', 4, null, null],
    ['9:30', 4, null, { time: new Date(2025, 9, 12, 9, 30).getTime() }],
    ['14:30:05', 4, null, { time: new Date(2025, 9, 12, 14, 30, 5).getTime() }],
    ['2025-10-12T14:30:00Z', 4, null, { time: Date.UTC(2025, 9, 12, 14, 30) }],
    ['2025-10-12 14:30:00.250 -0300', 4, null, { time: Date.UTC(2025, 9, 12, 17, 30, 0, 250) }],
    ['2025-10-12', 4, null, { time: new Date(2025, 9, 12).getTime() }],
    ['25:99', 4, null, null],
    ['yesterday', 4, null, null],
  ])('%s of %i partitions', (text, partitions, shown, expected) => expect(readTarget(text, partitions, shown, now)).toEqual(expected));
});
