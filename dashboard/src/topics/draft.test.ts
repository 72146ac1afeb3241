import { describe, expect, it } from 'vitest';
import { writeBytes } from '../format/bytes.ts';
import { query, type Message } from './api.ts';
import { draftOf, EMPTY, outgoingOf } from './draft.ts';
import { readMarks, sumOf, writeMarks } from './marks.ts';

const piece = (text: string) => ({ text, bytes: text.length, cut: false });

describe('a message that is written', () => {
  const message: Message = {
    partition: 1, offset: 7, time_ms: 0, key: piece('USER001'), payload: piece('{"a":1.10}'),
    headers: [{ name: 'trace', value: piece('x') }, { name: 'bytes', value: { hex: '00ff', bytes: 2, cut: false } }],
  };

  it('again has the same key, headers and payload, and a partition by its key', () => {
    expect(outgoingOf(draftOf(message), false)).toEqual({
      key: 'USER001', payload: '{\n  "a": 1.10\n}', headers: [{ name: 'trace', value: 'x' }, { name: 'bytes', value_hex: '00ff' }],
    });
  });

  it('keeps bytes that are no text', () => {
    const bytes = { hex: 'ff00', bytes: 2, cut: false };
    expect(outgoingOf(draftOf({ ...message, key: bytes, payload: bytes, headers: [] }), true)).toEqual({
      key_hex: 'ff00', payload_hex: 'ff00', headers: [], anyway: true,
    });
  });

  it('leaves the key to the pipeline where none is given, and a header without a name out', () => {
    const draft = { ...EMPTY, payload: '{}', headers: [{ name: '', value: 'x', valueHex: null }], partition: 0 };
    expect(outgoingOf(draft, false)).toEqual({ payload: '{}', headers: [], partition: 0 });
  });
});

describe('marks', () => {
  it('come back as they were written', () => {
    const marks = readMarks('0:120,3:0');
    expect([writeMarks(marks), sumOf(marks), readMarks(null).size, readMarks('x:1,2').size]).toEqual(['0:120,3:0', 120, 0, 0]);
  });
});

it('a query has what is given alone', () => {
  expect(query({ key: 'a b', text: '', partition: 0, before: null, after: undefined })).toBe('?key=a+b&partition=0');
  expect(query({})).toBe('');
});

it('bytes have a unit', () => {
  const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ');
  expect([980, 12_400, 1_240_000].map((bytes) => plain(writeBytes(bytes, 'pt-BR')))).toEqual(['980 bytes', '12,4 kB', '1,2 MB']);
});
