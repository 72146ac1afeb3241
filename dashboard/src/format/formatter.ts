/** How one reader sees values: a locale, a currency, and the formats of the pipeline's file. */

import type { Format } from '../page/declaration.ts';
import { writeAge, writeDuration } from './duration.ts';
import { secondsOf } from './interval.ts';
import { millisecondsOf, writeDate, writeMoment, type MomentStyle } from './moment.ts';
import { isCompacted, numberOf, writeMark, writeNumber, type NumberStyle } from './number.ts';

/** What stands where there is no value. */
export const NOTHING = 'N/A';

export class Formatter {
  constructor(
    readonly locale: string,
    readonly currency: string,
  ) {}

  /** The value in full, as tables and tooltips have it. */
  write(value: unknown, format: Format): string {
    return this.#write(value, format, false);
  }

  /** The value where room is short: above a million it is rounded, and `isShortened` says so. */
  writeShort(value: unknown, format: Format): string {
    return this.#write(value, format, true);
  }

  isShortened(value: unknown, format: Format): boolean {
    const number = numberOf(value);
    return number !== null && isNumeric(format) && isCompacted(number);
  }

  /** A mark of an axis. */
  mark(value: number, format: Format): string {
    if (format === 'duration') return writeDuration(value, this.locale);
    return writeMark(value, isNumeric(format) ? format : 'number', this.locale, this.currency);
  }

  moment(milliseconds: number, style: MomentStyle): string {
    return writeMoment(milliseconds, style, this.locale);
  }

  age(milliseconds: number): string {
    return writeAge(milliseconds, this.locale);
  }

  integer(value: number): string {
    return writeNumber(value, 'integer', this.locale, this.currency);
  }

  decimal(value: number): string {
    return writeNumber(value, 'number', this.locale, this.currency);
  }

  /** A share of 1. */
  share(value: number): string {
    return new Intl.NumberFormat(this.locale, { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);
  }

  #write(value: unknown, format: Format, short: boolean): string {
    if (value === null || value === undefined) return NOTHING;
    switch (format) {
      case 'integer':
      case 'number':
      case 'currency':
      case 'percent': {
        const number = numberOf(value);
        return number === null ? plain(value) : writeNumber(number, format, this.locale, this.currency, short);
      }
      case 'duration': {
        const seconds = secondsOf(value);
        return seconds === null ? plain(value) : writeDuration(seconds, this.locale);
      }
      case 'date':
        return writeDate(value, this.locale) ?? plain(value);
      case 'time':
      case 'datetime': {
        const milliseconds = millisecondsOf(value);
        return milliseconds === null ? plain(value) : writeMoment(milliseconds, format, this.locale);
      }
      case 'text':
        return plain(value);
    }
  }
}

/** The length of a mark: what a bar, a line or a slice of this value is drawn by. */
export function magnitudeOf(value: unknown, format: Format): number | null {
  return format === 'duration' ? secondsOf(value) : numberOf(value);
}

export function isNumeric(format: Format): format is NumberStyle {
  return format === 'integer' || format === 'number' || format === 'currency' || format === 'percent';
}

/** Whether the values of a column stand on its right. */
export function isRightAligned(format: Format): boolean {
  return isNumeric(format) || format === 'duration';
}

function plain(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
