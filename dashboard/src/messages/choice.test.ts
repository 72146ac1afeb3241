import { describe, expect, it } from 'vitest';
import { choose, pick } from './choice.ts';
import { en } from './en.ts';
import { ptBR } from './pt-BR.ts';

describe('the language', () => {
  it('is what the reader chose, then what the browser prefers, then what the dashboard declares', () => {
    expect(choose('en', ['pt-BR'], 'pt-BR')).toEqual({ language: 'en', locale: 'en-US' });
    expect(choose(null, ['pt-PT', 'en'], 'en')).toEqual({ language: 'pt-BR', locale: 'pt-BR' });
    expect(choose(null, ['fr-FR', 'en-GB'], 'pt-BR')).toEqual({ language: 'en', locale: 'en-US' });
    expect(choose(null, ['fr-FR'], 'pt-BR')).toEqual({ language: 'pt-BR', locale: 'pt-BR' });
    expect(choose(null, ['fr-FR'], 'de-DE')).toEqual({ language: 'en', locale: 'de-DE' });
    expect(choose('', [], 'not a locale')).toEqual({ language: 'en', locale: 'en-US' });
  });

  it('of a title is the nearest that there is', () => {
    const title = { 'pt-BR': 'Vendas', en: 'Sales' };
    expect(pick(title, 'en-US', 'pt-BR')).toBe('Sales');
    expect(pick(title, 'pt-BR', 'en')).toBe('Vendas');
    expect(pick({ de: 'Umsatz' }, 'pt-BR', 'en')).toBe('Umsatz');
    expect(pick('Umsatz', 'pt-BR', 'en')).toBe('Umsatz');
  });

  it('has the same words in both', () => {
    const keys = (messages: object): string[] =>
      Object.entries(messages).flatMap(([key, value]) => (typeof value === 'object' ? keys(value as object).map((sub) => `${key}.${sub}`) : [key]));
    expect(keys(ptBR)).toEqual(keys(en));
  });
});
