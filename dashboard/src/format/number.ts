/** Numbers by Intl, each format made once. */

export type NumberStyle = 'integer' | 'number' | 'currency' | 'percent';

const COMPACT_FROM = 1_000_000;
const formats = new Map<string, Intl.NumberFormat>();

/** A number, also from the text in which a long NUMERIC comes; null for anything else. */
export function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'string' && value.trim() !== '') {
    const number = Number(value);
    return Number.isFinite(number) ? number : null;
  }
  return null;
}

/** Whether `compact` writes it shorter than it is. */
export function isCompacted(value: number): boolean {
  return Math.abs(value) >= COMPACT_FROM;
}

/** `percent` takes 12.5 for 12,5 %. `compact` shortens from a million on; the whole figure then belongs in a tooltip. */
export function writeNumber(value: number, style: NumberStyle, locale: string, currency: string, compact = false): string {
  const short = compact && isCompacted(value);
  const key = `${style} ${locale} ${currency} ${short}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(locale, options(style, currency, short));
    formats.set(key, format);
  }
  return format.format(style === 'percent' ? value / 100 : value);
}

function options(style: NumberStyle, currency: string, short: boolean): Intl.NumberFormatOptions {
  const shortened: Intl.NumberFormatOptions = short ? { notation: 'compact', minimumFractionDigits: 2, maximumFractionDigits: 2 } : {};
  switch (style) {
    case 'integer':
      return { maximumFractionDigits: 0, ...shortened };
    case 'number':
      return { maximumFractionDigits: 2, ...shortened };
    case 'percent':
      return { style: 'percent', maximumFractionDigits: 2, ...shortened };
    case 'currency':
      return { style: 'currency', currency, ...shortened };
  }
}

/** The mark of an axis: as short as it goes. */
export function writeMark(value: number, style: NumberStyle, locale: string, currency: string): string {
  const key = `mark ${style} ${locale} ${currency}`;
  let format = formats.get(key);
  if (!format) {
    const unit: Intl.NumberFormatOptions =
      style === 'currency' ? { style, currency, currencyDisplay: 'narrowSymbol' } : style === 'percent' ? { style } : {};
    format = new Intl.NumberFormat(locale, { ...unit, notation: 'compact', minimumFractionDigits: 0, maximumFractionDigits: 1 });
    formats.set(key, format);
  }
  return format.format(style === 'percent' ? value / 100 : value);
}
