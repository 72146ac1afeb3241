/** Rows as marks: named, measured, sorted, and the least of them as one. */

import { magnitudeOf } from '../format/formatter.ts';
import type { PanelDeclaration, Row } from '../page/declaration.ts';

export interface Mark {
  name: string;
  value: unknown;
  /** What its mark is drawn by. */
  magnitude: number;
  row: Row;
}

/** One mark a row, in the order of the rows; what has no value has no length. */
export function marksOf(rows: Row[], panel: PanelDeclaration, nameless: string): Mark[] {
  return rows.map((row) => {
    const name = row[panel.label ?? ''];
    const value = row[panel.value ?? ''];
    return { name: name === null || name === undefined ? nameless : String(name), value, magnitude: magnitudeOf(value, panel.format) ?? 0, row };
  });
}

/** The greatest first; the order of equals stays. */
export function sorted(marks: Mark[]): Mark[] {
  return marks.toSorted((one, other) => other.magnitude - one.magnitude);
}

export interface Slice extends Mark {
  /** Of the whole, from 0 to 1. */
  share: number;
  /** How many marks it stands for; more than one for the rest. */
  count: number;
}

/** At most `most` slices of what is above zero; the rest is one slice of the given name, the last. */
export function slicesOf(marks: Mark[], most: number, others: string): Slice[] {
  const shown = sorted(marks.filter((mark) => mark.magnitude > 0));
  const total = totalOf(shown);
  const kept = shown.length > most ? shown.slice(0, most - 1) : shown;
  const rest = shown.slice(kept.length);
  const slices = kept.map((mark) => ({ ...mark, share: mark.magnitude / total, count: 1 }));
  if (rest.length === 0) return slices;
  const magnitude = totalOf(rest);
  return [...slices, { name: others, value: magnitude, magnitude, row: {}, share: magnitude / total, count: rest.length }];
}

/** To the tenth decimal: a sum of cents is one of cents. */
export function totalOf(marks: Mark[]): number {
  return Number(marks.reduce((sum, mark) => sum + mark.magnitude, 0).toFixed(10));
}

/** A round number at or above the greatest, for an axis of about four steps from zero. */
export function axisOf(greatest: number): { end: number; step: number } {
  if (!(greatest > 0)) return { end: 1, step: 1 };
  const rough = greatest / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return { end: Math.ceil(greatest / step - 1e-9) * step, step };
}
