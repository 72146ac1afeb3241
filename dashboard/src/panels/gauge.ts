/** A figure between two ends. */

import type { Thresholds } from '../page/declaration.ts';

export type Level = 'good' | 'warning' | 'critical';

/** Where the value stands; null without thresholds. Where critical is below warning, low values are bad. */
export function levelOf(value: number, { warning, critical }: Thresholds): Level | null {
  if (warning === undefined && critical === undefined) return null;
  const isLowBad = warning !== undefined && critical !== undefined && critical < warning;
  const isBeyond = (threshold?: number) => threshold !== undefined && (isLowBad ? value <= threshold : value >= threshold);
  if (isBeyond(critical)) return 'critical';
  return isBeyond(warning) ? 'warning' : 'good';
}

/** How far it is from one end to the other, from 0 to 1. */
export function share(value: number, minimum: number, maximum: number): number {
  return Math.min(1, Math.max(0, (value - minimum) / (maximum - minimum)));
}
