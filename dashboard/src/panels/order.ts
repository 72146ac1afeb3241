/** Rows in the order of a column. */

import { magnitudeOf, isRightAligned } from '../format/formatter.ts';
import { millisecondsOf } from '../format/moment.ts';
import type { Figure, Row } from '../page/declaration.ts';

export interface Order {
  column: string;
  falling: boolean;
}

/** Sorted by a column; what has no value comes last in either direction, and equals stay as they were. */
export function ordered(rows: Row[], columns: Figure[], order: Order | null, locale: string): Row[] {
  const column = columns.find((one) => one.value === order?.column);
  if (!order || !column) return rows;
  const collator = new Intl.Collator(locale, { numeric: true });
  const key = (row: Row): number | string | null => {
    const value = row[column.value];
    if (value === null || value === undefined) return null;
    if (isRightAligned(column.format)) return magnitudeOf(value, column.format);
    if (column.format === 'date' || column.format === 'time' || column.format === 'datetime') return millisecondsOf(value);
    return String(value);
  };
  return rows.toSorted((one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    const difference = typeof a === 'number' && typeof b === 'number' ? a - b : collator.compare(String(a), String(b));
    return order.falling ? -difference : difference;
  });
}

/** The next order when a column's head is pressed: falling first for numbers, rising for names, and then as it was. */
export function nextOrder(order: Order | null, column: Figure): Order | null {
  const first = isRightAligned(column.format);
  if (order?.column !== column.value) return { column: column.value, falling: first };
  return order.falling === first ? { column: column.value, falling: !first } : null;
}
