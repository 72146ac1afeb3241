/** Rows of a timeline as the columns that are drawn. */

import { magnitudeOf } from '../../format/formatter.ts';
import { millisecondsOf } from '../../format/moment.ts';
import type { PanelDeclaration, Row } from '../../page/declaration.ts';

export interface Track {
  /** Seconds since 1970, rising. */
  times: number[];
  /** Of each series, one a time; null is a gap. */
  values: (number | null)[][];
  /** The rows' own distance, when they are regular: each row then stands for the time up to the next. */
  step: number | null;
  begin: number;
  /** Now; with steps, the end of the step that now is in. */
  end: number;
}

/** A row that is missing from regular ones is a gap; more than so many are not filled in. */
const MOST_TIMES = 5000;

/** `now` in seconds. */
export function trackOf(rows: Row[], panel: PanelDeclaration, now: number): Track {
  const series = panel.series ?? [];
  const byTime = new Map<number, (number | null)[]>();
  for (const row of rows) {
    const milliseconds = millisecondsOf(row[panel.time ?? '']);
    if (milliseconds !== null) byTime.set(milliseconds / 1000, series.map((one) => magnitudeOf(row[one.value], one.format)));
  }
  const given = [...byTime.keys()].sort((a, b) => a - b);
  const step = stepOf(given);
  const times = step ? filled(given, step) : given;
  const values = series.map((_, index) => times.map((time) => byTime.get(time)?.[index] ?? null));
  const begin = times[0] ?? now;
  return { times, values, step, begin, end: endOf(begin, times.at(-1) ?? now, step, now) };
}

/** The least distance, when all others are multiples of it. */
function stepOf(times: number[]): number | null {
  const distances = times.slice(1).map((time, index) => time - (times[index] ?? time));
  const least = Math.min(...distances);
  return Number.isFinite(least) && distances.every((distance) => distance % least === 0) ? least : null;
}

function filled(times: number[], step: number): number[] {
  const [first, last] = [times[0] ?? 0, times.at(-1) ?? 0];
  const count = Math.round((last - first) / step) + 1;
  return count > MOST_TIMES ? times : Array.from({ length: count }, (_, index) => first + index * step);
}

function endOf(begin: number, last: number, step: number | null, now: number): number {
  const covered = last + (step ?? 0);
  // Rows of another year are looked at where they are: up to now they would be a stroke at the edge.
  if (now <= covered || now - covered > covered - begin) return Math.max(covered, begin + 1);
  return step ? last + Math.ceil((now - last) / step) * step : now;
}

/** The row that a moment belongs to: with steps the one that has begun, else the nearest. */
export function indexAt(track: Track, time: number): number | null {
  const { times, step } = track;
  if (times.length === 0 || (step !== null && (time < (times[0] ?? 0) || time >= (times.at(-1) ?? 0) + step))) return null;
  const after = times.findIndex((one) => one > time);
  const index = after === -1 ? times.length - 1 : Math.max(0, after - 1);
  const next = index + 1;
  if (step !== null || next >= times.length) return index;
  return time - (times[index] ?? 0) > (times[next] ?? 0) - time ? next : index;
}

/** The columns that are drawn: with steps one more time, at which the last row ends. */
export function columnsOf(track: Track): [number[], ...(number | null)[][]] {
  const { times, values, step } = track;
  if (step === null || times.length === 0) return [times, ...values];
  return [[...times, (times.at(-1) ?? 0) + step], ...values.map((column) => [...column, null])];
}
