/** Moments and dates of the server, and how a page writes them: in the reader's zone, on 24 hours. */

const DATE_ONLY = /^(\d{4})-(\d{2})-(\d{2})$/;
const HAS_ZONE = /(Z|[+-]\d{2}(:?\d{2})?)$/i;

/** Milliseconds since 1970. A timestamp without a zone is UTC; a number is seconds, or milliseconds when it is too large for that. */
export function millisecondsOf(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? (Math.abs(value) < 1e11 ? value * 1000 : value) : null;
  if (typeof value !== 'string') return null;
  let text = value.trim().replace(' ', 'T');
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return null;
  if (!DATE_ONLY.test(text)) {
    if (!HAS_ZONE.test(text.slice(10))) text += 'Z';
    // PostgreSQL writes a zone as +00, which Date does not take.
    else text = text.replace(/([+-]\d{2})$/, '$1:00');
  }
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? null : milliseconds;
}

export type MomentStyle = 'date' | 'time' | 'minute' | 'datetime' | 'exact' | 'day' | 'dayminute';

const STYLES: Record<MomentStyle, Intl.DateTimeFormatOptions> = {
  date: { dateStyle: 'medium' },
  time: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
  minute: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  datetime: { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
  exact: {
    year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
    fractionalSecondDigits: 3, hourCycle: 'h23', timeZoneName: 'short',
  },
  day: { day: 'numeric', month: 'short' },
  dayminute: { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
};

const formats = new Map<string, Intl.DateTimeFormat>();

/** A moment in the reader's zone, or in the one that is named. */
export function writeMoment(milliseconds: number, style: MomentStyle, locale: string, timeZone?: string): string {
  const key = `${style} ${locale} ${timeZone ?? ''}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(locale, { ...STYLES[style], timeZone });
    formats.set(key, format);
  }
  return format.format(milliseconds);
}

/** A value of the format `date`: a day of the calendar has no zone, and so does not move to another day. */
export function writeDate(value: unknown, locale: string): string | null {
  const milliseconds = millisecondsOf(value);
  if (milliseconds === null) return null;
  const isDay = typeof value === 'string' && DATE_ONLY.test(value.trim());
  return writeMoment(milliseconds, 'date', locale, isDay ? 'UTC' : undefined);
}
