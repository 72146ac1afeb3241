/** Where a person wants to go: an offset, or a time. */

export type Target = { partition: number; offset: number } | { time: number };

const OFFSET = /^(?:(\d+)\s*[:/]\s*)?(\d+)$/;
const CLOCK = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/;
const MOMENT = /^(\d{4})-(\d{2})-(\d{2})(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?)?\s*(Z|[+-]\d{2}:?\d{2})?$/i;

/**
 * `0:120` is an offset of a partition, `120` one of the partition that is shown, or of the only one. `14:30:05` is today's, and without a
 * zone a time is the reader's; `9:30` is a time, for 30 minutes past, unless partition 9 is there. Null for anything else.
 */
export function readTarget(text: string, partitions: number, shown: number | null, now: Date): Target | null {
  const trimmed = text.trim();
  const [, named, digits] = OFFSET.exec(trimmed) ?? [];
  const partition = named === undefined ? (shown ?? (partitions === 1 ? 0 : null)) : Number(named);
  if (digits !== undefined && partition !== null && partition < partitions) return { partition, offset: Number(digits) };
  const clock = CLOCK.exec(trimmed);
  if (clock) return ofClock(clock, now);
  const moment = MOMENT.exec(trimmed);
  return moment ? ofMoment(moment) : null;
}

function ofClock([, hours, minutes, seconds]: RegExpExecArray, now: Date): Target | null {
  if (Number(hours) > 23 || Number(minutes) > 59) return null;
  const today = new Date(now);
  today.setHours(Number(hours), Number(minutes), Number(seconds ?? 0), 0);
  return { time: today.getTime() };
}

function ofMoment([, year, month, day, hours, minutes, seconds, fraction, zone]: RegExpExecArray): Target | null {
  const clock = `${(hours ?? '00').padStart(2, '0')}:${minutes ?? '00'}:${seconds ?? '00'}.${(fraction ?? '').padEnd(3, '0').slice(0, 3)}`;
  const time = Date.parse(`${year}-${month}-${day}T${clock}${zone?.replace(/^([+-]\d{2}):?(\d{2})$/, '$1:$2').toUpperCase() ?? ''}`);
  return Number.isNaN(time) ? null : { time };
}
