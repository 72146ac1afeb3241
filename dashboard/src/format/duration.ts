/** Spans of time in words and digits. */

/** `340 ms`, `1,2 s`, `08:42:00`, `2 dias, 08:42:00`. */
export function writeDuration(seconds: number, locale: string): string {
  const sign = seconds < 0 ? '−' : '';
  const length = Math.abs(seconds);
  if (length < 60) return sign + writeShort(length, locale);
  const whole = Math.round(length);
  const [days, hours, minutes] = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  const clock = [hours, minutes, whole % 60].map((part) => String(part).padStart(2, '0')).join(':');
  return sign + (days === 0 ? clock : `${unit(days, 'day', 'long', locale)}, ${clock}`);
}

/** How long ago something was, without a precision that nobody reads: `12 s`, `4 min`, `3 h`. */
export function writeAge(milliseconds: number, locale: string): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return unit(seconds, 'second', 'short', locale);
  if (seconds < 3600) return unit(Math.floor(seconds / 60), 'minute', 'short', locale);
  if (seconds < 86_400) return unit(Math.floor(seconds / 3600), 'hour', 'short', locale);
  return unit(Math.floor(seconds / 86_400), 'day', 'long', locale);
}

function writeShort(seconds: number, locale: string): string {
  if (seconds > 0 && seconds < 1) return unit(Math.round(seconds * 1000), 'millisecond', 'short', locale);
  return unit(Math.round(seconds * 10) / 10, 'second', 'short', locale);
}

function unit(value: number, name: string, display: 'short' | 'long', locale: string): string {
  const text = new Intl.NumberFormat(locale, { style: 'unit', unit: name, unitDisplay: display, maximumFractionDigits: 1 }).format(value);
  // English says "sec" where the field says "s".
  return name === 'second' ? text.replace(/\s*sec$/, ' s') : text.replace(/\s*hr$/, ' h');
}
