/** The path of a slice. */

/** From one share of the circle to another, clockwise from the top, around 0 0; without an inner radius it is a pie's. */
export function arc(from: number, to: number, outer: number, inner: number): string {
  // The ends of a whole circle are one point, between which no arc is drawn.
  if (to - from > 0.9999) return ring(outer, 1) + (inner > 0 ? ring(inner, 0) : '');
  const large = to - from > 0.5 ? 1 : 0;
  const edge = `${point(from, outer)}A${outer} ${outer} 0 ${large} 1 ${point(to, outer)}`;
  return inner > 0 ? `M${edge}L${point(to, inner)}A${inner} ${inner} 0 ${large} 0 ${point(from, inner)}Z` : `M0 0L${edge}Z`;
}

function ring(radius: number, sweep: 0 | 1): string {
  const half = `A${radius} ${radius} 0 1 ${sweep}`;
  return `M0 ${-radius}${half} 0 ${radius}${half} 0 ${-radius}Z`;
}

function point(share: number, radius: number): string {
  const angle = share * 2 * Math.PI;
  return `${round(Math.sin(angle) * radius)} ${round(-Math.cos(angle) * radius)}`;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
