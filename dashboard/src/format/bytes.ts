/** Sizes: `980 bytes`, `12,4 kB`, `1,2 MB`. */

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];

export function writeBytes(bytes: number, locale: string): string {
  const step = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), UNITS.length - 1);
  return new Intl.NumberFormat(locale, {
    style: 'unit', unit: UNITS[step], unitDisplay: step === 0 ? 'long' : 'short', maximumFractionDigits: step === 0 ? 0 : 1,
  }).format(bytes / 1000 ** step);
}
