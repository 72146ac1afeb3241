/** Spans of time as seconds, from a number or from what PostgreSQL writes. */

const SECONDS: Record<string, number> = { year: 31_557_600, mon: 2_592_000, week: 604_800, day: 86_400, hour: 3600, min: 60, sec: 1 };
const CLOCK = /([+-]?)(\d+):(\d{2})(?::(\d{2}(?:\.\d+)?))?$/;
const ISO = /^(-?)P(?:(-?[\d.]+)Y)?(?:(-?[\d.]+)M)?(?:(-?[\d.]+)W)?(?:(-?[\d.]+)D)?(?:T(?:(-?[\d.]+)H)?(?:(-?[\d.]+)M)?(?:(-?[\d.]+)S)?)?$/;

/**
 * A number of seconds, `1 day 09:25:00` (also with `mons`, `years`, signs and fractions), or ISO 8601's `P1DT9H25M`. A month counts
 * 30 days, as PostgreSQL's EXTRACT(EPOCH) has it. Null for anything else.
 */
export function secondsOf(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'string' || value.trim() === '') return null;
  const text = value.trim();
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  return text.includes('P') ? ofIso(text) : ofPostgres(text);
}

function ofIso(text: string): number | null {
  const parts = ISO.exec(text);
  if (!parts || /[PT]$/.test(text)) return null;
  const units = ['year', 'mon', 'week', 'day', 'hour', 'min', 'sec'];
  const sum = units.reduce((total, unit, index) => total + Number(parts[index + 2] ?? 0) * (SECONDS[unit] ?? 0), 0);
  return parts[1] === '-' ? -sum : sum;
}

function ofPostgres(text: string): number | null {
  let rest = text;
  let total = 0;
  const clock = CLOCK.exec(rest);
  if (clock) {
    const seconds = Number(clock[2]) * 3600 + Number(clock[3]) * 60 + Number(clock[4] ?? 0);
    total += clock[1] === '-' ? -seconds : seconds;
    rest = rest.slice(0, clock.index).trim();
  }
  for (const part of rest.match(/[+-]?[\d.]+\s*[a-z]+/gi) ?? []) {
    const [, amount, word] = /([+-]?[\d.]+)\s*([a-z]+)/i.exec(part) ?? [];
    const unit = Object.keys(SECONDS).find((name) => word?.toLowerCase().startsWith(name));
    if (!unit) return null;
    total += Number(amount) * (SECONDS[unit] ?? 0);
    rest = rest.replace(part, '').trim();
  }
  return rest === '' ? total : null;
}
