import { describe, expect, it } from 'vitest';
import { levelOf, share } from './gauge.ts';

describe('levelOf', () => {
  it.each([
    [79, { warning: 80, critical: 95 }, 'good'],
    [80, { warning: 80, critical: 95 }, 'warning'],
    [95, { warning: 80, critical: 95 }, 'critical'],
    [95, { critical: 90 }, 'critical'],
    [89, { critical: 90 }, 'good'],
    [21, { warning: 20, critical: 5 }, 'good'],
    [20, { warning: 20, critical: 5 }, 'warning'],
    [5, { warning: 20, critical: 5 }, 'critical'],
    [50, {}, null],
  ])('%d with %o is %s', (value, thresholds, level) => {
    expect(levelOf(value, thresholds)).toBe(level);
  });
});

describe('share', () => {
  it('stays between the ends', () => {
    expect([-5, 0, 25, 100, 130].map((value) => share(value, 0, 100))).toEqual([0, 0, 0.25, 1, 1]);
    expect(share(0, -40, 60)).toBe(0.4);
  });
});
