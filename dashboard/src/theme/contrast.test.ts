import { describe, expect, it } from 'vitest';
import { MARKS } from './palette.ts';
import css from './tokens.css?raw';

const tokens = new Map(
  [...css.matchAll(/(--[\w-]+): light-dark\((#\w{6}), (#\w{6})\);/g)].map(([, name, light, dark]) => [name ?? '', [light ?? '', dark ?? '']]),
);

function luminance(hex: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const of = (name: string, theme: number) => tokens.get(name)?.[theme] ?? 'missing';

describe.each([['light', 0], ['dark', 1]] as const)('%s', (_, theme) => {
  const texts: [string, string[]][] = [
    ['--text', ['--ground', '--surface', '--float', '--hover', '--flash']],
    ['--muted', ['--ground', '--surface', '--float', '--hover']],
    ['--accent', ['--surface', '--ground', '--accent-soft']],
    ['--on-accent', ['--accent']],
    ['--good', ['--surface', '--ground']],
    ['--warn-text', ['--warn-ground']],
    ['--bad-text', ['--bad-ground', '--surface']],
    ['--text', ['--warn-ground', '--bad-ground', '--accent-soft']],
  ];
  it.each(texts.flatMap(([text, grounds]) => grounds.map((ground) => [text, ground] as const)))('%s can be read on %s', (text, ground) =>
    expect(contrast(of(text, theme), of(ground, theme))).toBeGreaterThanOrEqual(4.5),
  );

  const marks = [...Array.from({ length: MARKS }, (_, index) => `--mark-${index}`), '--mark-others'];
  it.each(marks)('%s can be seen', (name) => expect(contrast(of(name, theme), of('--surface', theme))).toBeGreaterThanOrEqual(3));
});
