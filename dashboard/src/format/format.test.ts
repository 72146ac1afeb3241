import { describe, expect, it } from 'vitest';
import { writeAge } from './duration.ts';
import { Formatter, magnitudeOf } from './formatter.ts';
import { secondsOf } from './interval.ts';
import { millisecondsOf, writeDate, writeMoment } from './moment.ts';

const pt = new Formatter('pt-BR', 'BRL');
const en = new Formatter('en-US', 'BRL');
/** Intl writes no-break spaces, of two kinds. */
const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ');

describe('numbers', () => {
  it('follow the locale', () => {
    expect(pt.write(1234567, 'integer')).toBe('1.234.567');
    expect(en.write(1234567, 'integer')).toBe('1,234,567');
    expect(pt.write(1234.5678, 'number')).toBe('1.234,57');
    expect(pt.write(12.5, 'percent')).toBe('12,5%');
    expect(plain(pt.write(1234.5, 'currency'))).toBe('R$ 1.234,50');
    expect(plain(en.write('1234.5', 'currency'))).toBe('R$1,234.50');
  });

  it('are short above a million, and say so', () => {
    expect(plain(pt.writeShort(1_234_567, 'integer'))).toBe('1,23 mi');
    expect(plain(en.writeShort(1_234_567, 'integer'))).toBe('1.23M');
    expect(plain(pt.writeShort(2_500_000, 'currency'))).toBe('R$ 2,50 mi');
    expect(pt.writeShort(999_999, 'integer')).toBe('999.999');
    expect([pt.isShortened(1e6, 'integer'), pt.isShortened(999_999, 'integer'), pt.isShortened(1e9, 'duration')]).toEqual([true, false, false]);
  });

  it('that are none stay what they are', () => {
    expect(pt.write(null, 'integer')).toBe('N/A');
    expect(pt.write(undefined, 'duration')).toBe('N/A');
    expect(pt.write('abc', 'integer')).toBe('abc');
    expect(pt.write({ a: 1 }, 'text')).toBe('{"a":1}');
    expect(pt.write(false, 'text')).toBe('false');
  });

  it('are short on an axis', () => {
    expect(plain(pt.mark(12_500, 'integer'))).toBe('12,5 mil');
    expect(en.mark(12_500, 'integer')).toBe('12.5K');
    expect(plain(pt.mark(2000, 'currency'))).toBe('R$ 2 mil');
  });
});

describe('intervals', () => {
  it.each([
    [90, 90],
    ['90.5', 90.5],
    ['09:25:00', 33_900],
    ['1 day 09:25:00', 120_300],
    ['2 days', 172_800],
    ['1 year 2 mons 3 days 04:05:06.5', 31_557_600 + 5_184_000 + 259_200 + 14_706.5],
    ['-1 days +02:03:00', -86_400 + 7380],
    ['-00:00:01', -1],
    ['P1DT9H25M', 120_300],
    ['PT0.34S', 0.34],
    ['-PT5M', -300],
    ['P', null],
    ['', null],
    ['soon', null],
    [null, null],
    [Number.NaN, null],
  ])('%s is %s seconds', (value, seconds) => expect(secondsOf(value)).toBe(seconds));

  it('are written by their length', () => {
    expect(pt.write(0.34, 'duration')).toBe('340 ms');
    expect(plain(pt.write(1.23, 'duration'))).toBe('1,2 s');
    expect(plain(en.write(1.23, 'duration'))).toBe('1.2 s');
    expect(plain(pt.write(0, 'duration'))).toBe('0 s');
    expect(pt.write('08:42:00', 'duration')).toBe('08:42:00');
    expect(plain(pt.write('2 days 08:42:00', 'duration'))).toBe('2 dias, 08:42:00');
    expect(plain(en.write('1 day 09:25:00', 'duration'))).toBe('1 day, 09:25:00');
    expect(plain(pt.write(86_399.7, 'duration'))).toBe('1 dia, 00:00:00');
    expect(plain(pt.write(-90, 'duration'))).toBe('−00:01:30');
  });

  it('have a magnitude', () => {
    expect(magnitudeOf('00:01:00', 'duration')).toBe(60);
    expect(magnitudeOf('12.5', 'currency')).toBe(12.5);
    expect(magnitudeOf('x', 'integer')).toBeNull();
  });

  it('are ages', () => {
    expect(plain(writeAge(12_900, 'pt-BR'))).toBe('12 s');
    expect(plain(writeAge(12_900, 'en-US'))).toBe('12 s');
    expect(plain(writeAge(250_000, 'en-US'))).toBe('4 min');
    expect(plain(writeAge(3 * 3_600_000, 'en-US'))).toBe('3 h');
    expect(plain(writeAge(-5, 'pt-BR'))).toBe('0 s');
  });
});

describe('moments', () => {
  const moment = Date.UTC(2025, 9, 12, 8, 15);

  it.each([
    ['2025-10-12T08:15:00', moment],
    ['2025-10-12 08:15:00', moment],
    ['2025-10-12T08:15:00Z', moment],
    ['2025-10-12T05:15:00-03:00', moment],
    ['2025-10-12 08:15:00+00', moment],
    ['2025-10-12T08:15:00.250', moment + 250],
    ['2025-10-12', Date.UTC(2025, 9, 12)],
    [moment / 1000, moment],
    [moment, moment],
    ['yesterday', null],
    [null, null],
  ])('%s', (value, milliseconds) => expect(millisecondsOf(value)).toBe(milliseconds));

  it('stand in the zone of the reader', () => {
    expect(writeMoment(moment, 'minute', 'pt-BR', 'America/Sao_Paulo')).toBe('05:15');
    expect(writeMoment(moment, 'minute', 'en-US', 'UTC')).toBe('08:15');
  });

  it('but a day of the calendar does not move', () => {
    expect(writeDate('2025-10-12', 'pt-BR')).toBe('12 de out. de 2025');
    expect(writeDate('2025-10-12', 'en-US')).toBe('Oct 12, 2025');
  });
});
