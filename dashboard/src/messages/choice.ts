/** Which language a reader gets. */

import type { Text } from '../page/declaration.ts';

export type Language = 'pt-BR' | 'en';

export const LANGUAGES: Language[] = ['pt-BR', 'en'];

export interface Choice {
  /** Of the page's words. */
  language: Language;
  /** Of numbers and dates. */
  locale: string;
}

const LOCALES: Record<Language, string> = { 'pt-BR': 'pt-BR', en: 'en-US' };

/** What the reader chose; else the first of the reader's languages that is there; else the dashboard's own locale. */
export function choose(chosen: string | null, preferred: readonly string[], declared: string): Choice {
  for (const tag of chosen ? [chosen, ...preferred] : preferred) {
    const language = languageOf(tag);
    if (language) return { language, locale: LOCALES[language] };
  }
  const language = languageOf(declared);
  // The dashboard speaks a language for which the page has no words: its numbers and titles still follow it.
  return language ? { language, locale: LOCALES[language] } : { language: 'en', locale: isLocale(declared) ? declared : 'en-US' };
}

export function languageOf(tag: string): Language | null {
  const primary = tag.toLowerCase().split('-')[0];
  return primary === 'pt' ? 'pt-BR' : primary === 'en' ? 'en' : null;
}

/** The text in the reader's language, else in the dashboard's, else the first that there is. */
export function pick(text: Text, locale: string, declared: string): string {
  if (typeof text === 'string') return text;
  const entries = Object.entries(text);
  const primary = (tag: string) => tag.toLowerCase().split('-')[0];
  for (const wanted of [locale, declared]) {
    const found = entries.find(([tag]) => tag.toLowerCase() === wanted.toLowerCase()) ?? entries.find(([tag]) => primary(tag) === primary(wanted));
    if (found) return found[1];
  }
  return entries[0]?.[1] ?? '';
}

function isLocale(tag: string): boolean {
  try {
    return Intl.NumberFormat.supportedLocalesOf(tag).length > 0;
  } catch {
    return false;
  }
}
