import { describe, expect, it } from 'vitest';
import type { PanelDeclaration } from '../../page/declaration.ts';
import { columnsOf, indexAt, trackOf } from './track.ts';

const panel = {
  kind: 'timeline', title: 'T', from: '/a', format: 'number', time: 'hour',
  series: [{ value: 'events', title: 'E', format: 'integer' }],
} as PanelDeclaration;
const HOUR = 3600;
const start = Date.UTC(2025, 0, 1) / 1000;
const at = (hours: number) => new Date((start + hours * HOUR) * 1000).toISOString().replace('.000Z', '');
const rows = (...hours: [number, number | null][]) => hours.map(([hour, events]) => ({ hour: at(hour), events }));

describe('a track', () => {
  it('fills what is missing with gaps, in rising order, and ends with the step that now is in', () => {
    const track = trackOf(rows([3, 7], [0, 1], [1, 2]), panel, start + 5.5 * HOUR);
    expect(track).toEqual({
      times: [0, 1, 2, 3].map((hour) => start + hour * HOUR), values: [[1, 2, null, 7]], step: HOUR, begin: start, end: start + 6 * HOUR,
    });
  });

  it('stays where it is when it is long ago', () => {
    expect(trackOf(rows([0, 1], [1, 2]), panel, start + 900 * HOUR).end).toBe(start + 2 * HOUR);
  });

  it('that is irregular has no steps, and ends now', () => {
    expect(trackOf(rows([0, 1], [2, 1], [5, 3]), panel, start + 6 * HOUR)).toMatchObject({ step: null, end: start + 6 * HOUR });
    expect(trackOf([], panel, start)).toMatchObject({ times: [], values: [[]], begin: start, end: start + 1 });
  });

  it('knows the row of a moment', () => {
    const steps = trackOf(rows([0, 1], [1, 2], [2, 3]), panel, start + 2.5 * HOUR);
    expect([-0.1, 0, 1.9, 2, 2.9, 3].map((hour) => indexAt(steps, start + hour * HOUR))).toEqual([null, 0, 1, 2, 2, null]);
    const points = trackOf(rows([0, 1], [2, 1], [5, 3]), panel, start + 6 * HOUR);
    expect([-1, 0.9, 1.1, 5.9].map((hour) => indexAt(points, start + hour * HOUR))).toEqual([0, 0, 1, 2]);
  });

  it('has one more time when it is drawn, where the last step ends', () => {
    expect(columnsOf(trackOf(rows([0, 1], [1, null], [2, 3]), panel, start + 2.5 * HOUR))).toEqual([
      [0, 1, 2, 3].map((hour) => start + hour * HOUR), [1, null, 3, null],
    ]);
    expect(columnsOf(trackOf(rows([0, 1], [2, 1], [5, 3]), panel, start + 6 * HOUR))[1]).toEqual([1, 1, 3]);
  });
});
