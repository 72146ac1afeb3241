import { describe, expect, it } from 'vitest';
import type { PanelDeclaration } from '../page/declaration.ts';
import { arc } from './arc.ts';
import { axisOf, marksOf, slicesOf, sorted, totalOf } from './ranking.ts';

const panel = { kind: 'bars', from: '/a', title: 'A', label: 'name', value: 'n', format: 'number' } as PanelDeclaration;
const marks = (...values: unknown[]) => marksOf(values.map((n, index) => ({ name: `row ${index}`, n })), panel, 'N/A');

describe('marks', () => {
  it('are sorted, equals in their order, and without a value they have no length', () => {
    const given = marks(1, '3.5', 1, null, 2);
    expect(sorted(given).map((mark) => mark.name)).toEqual(['row 1', 'row 4', 'row 0', 'row 2', 'row 3']);
    expect(given[3]).toMatchObject({ value: null, magnitude: 0 });
    expect(marksOf([{ name: null, n: 1 }], panel, 'N/A')[0]?.name).toBe('N/A');
  });

  it('are at most so many slices, the rest being one', () => {
    const slices = slicesOf(marks(5, 40, 20, 10, 8, 7, 6, 4, 0, -3), 6, 'Others');
    expect(slices.map((slice) => [slice.name, slice.magnitude, slice.count])).toEqual([
      ['row 1', 40, 1], ['row 2', 20, 1], ['row 3', 10, 1], ['row 4', 8, 1], ['row 5', 7, 1], ['Others', 15, 3],
    ]);
    expect(slices.reduce((sum, slice) => sum + slice.share, 0)).toBeCloseTo(1);
    expect(slicesOf(marks(1, 2, 3, 4, 5, 6), 6, 'Others')).toHaveLength(6);
    expect(slicesOf(marks(0, null), 6, 'Others')).toEqual([]);
  });

  it('sum up as money does', () => expect(totalOf(marks(0.1, 0.2))).toBe(0.3));
});

describe('an axis', () => {
  it.each([[0, 1, 1], [1, 1, 0.25], [7, 8, 2], [97, 100, 25], [1234, 1500, 500], [0.03, 0.03, 0.01]])(
    'for %s ends at %s in steps of %s',
    (greatest, end, step) => {
      expect(axisOf(greatest).end).toBeCloseTo(end);
      expect(axisOf(greatest).step).toBeCloseTo(step);
    },
  );
});

describe('an arc', () => {
  it('of a whole circle is drawn as two halves', () => expect(arc(0, 1, 50, 30).match(/A/g)).toHaveLength(4));
  it('of a pie begins in the middle', () => expect(arc(0, 0.25, 50, 0)).toMatch(/^M0 0L/));
});
