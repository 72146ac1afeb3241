/** The reader's language, with the words and the numbers that follow from it. */

import { Formatter } from '../format/formatter.ts';
import { fromAddress } from '../page/address.svelte.ts';
import type { Declaration, Text } from '../page/declaration.ts';
import { recall, remember } from '../page/memory.ts';
import { choose, languageOf, LANGUAGES, pick, type Language } from './choice.ts';
import { en, type Messages } from './en.ts';
import { ptBR } from './pt-BR.ts';

const KEY = 'duto.language';
const MESSAGES: Record<Language, Messages> = { 'pt-BR': ptBR, en };

class Reader {
  #chosen = $state<string | null>(languageOf(fromAddress('lang') ?? '') ?? recall(KEY));
  #declared = $state.raw({ locale: 'en', currency: 'USD' });
  readonly #choice = $derived(choose(this.#chosen, navigator.languages, this.#declared.locale));
  readonly format = $derived(new Formatter(this.#choice.locale, this.#declared.currency));
  readonly language = $derived(this.#choice.language);
  readonly words = $derived(MESSAGES[this.#choice.language]);

  /** What the dashboard's file says of locale and currency. */
  declare(dashboard: Pick<Declaration, 'locale' | 'currency'>): void {
    this.#declared = { locale: dashboard.locale, currency: dashboard.currency };
  }

  speak(language: Language): void {
    this.#chosen = language;
    remember(KEY, language);
  }

  speakNext(): void {
    this.speak(LANGUAGES[(LANGUAGES.indexOf(this.language) + 1) % LANGUAGES.length] ?? 'en');
  }

  /** A title of the file, in the reader's language. */
  text(text: Text): string {
    return pick(text, this.#choice.locale, this.#declared.locale);
  }
}

export const reader = new Reader();
