/** The axes of a timeline: the time below, at most two kinds of figures at the sides. */

import type uPlot from 'uplot';
import type { Formatter } from '../../format/formatter.ts';
import type { Format } from '../../page/declaration.ts';
import { colourOf } from '../../theme/theme.svelte.ts';

/** Of the whole plot, in pixels: a tile's height does not depend on what is in it. */
export const HEIGHT = 256;
const DAY = 86_400;
/** Pixels at the sides that the half of a mark needs. */
const EDGE = 20;
const LEAST_SIDE = 40;
const FONT = '12px system-ui, sans-serif';

export function axesOf(formats: string[], format: () => Formatter): uPlot.Axis[] {
  const line = (): string => colourOf('--border');
  const common: uPlot.Axis = {
    font: FONT,
    stroke: () => colourOf('--muted'),
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1, size: 4 },
    border: { show: false },
  };
  const below: uPlot.Axis = {
    ...common,
    size: 40,
    space: 64,
    grid: { show: false },
    values: (plot, splits, _, __, increment) => {
      // A mark at the very edge would be cut.
      const { min = 0, max = 0 } = plot.scales.x as { min?: number; max?: number };
      const last = max - ((max - min) / plot.width) * EDGE;
      return splits.map((split, index) => (split > last ? '' : timeMark(split, splits[index - 1], increment, format())));
    },
  };
  const sides = formats.slice(0, 2).map(
    (one, index): uPlot.Axis => ({
      ...common,
      scale: one,
      side: index === 0 ? 3 : 1,
      size: (plot, marks) => Math.max(LEAST_SIDE, widest(plot, marks) + 16),
      space: 40,
      grid: index === 0 ? common.grid : { show: false },
      ticks: { show: false },
      gap: 8,
      values: (_, splits) => splits.map((split) => format().mark(split, one as Format)),
      // Halves of a record are no marks.
      ...(one === 'integer' ? { incrs: WHOLE } : {}),
    }),
  );
  return [below, ...sides];
}

const WHOLE = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat();

/** The hour, and under the first mark of a day the day. */
function timeMark(seconds: number, before: number | undefined, increment: number, format: Formatter): string {
  const day = format.moment(seconds * 1000, 'day');
  if (increment >= DAY) return day;
  const time = format.moment(seconds * 1000, increment < 60 ? 'time' : 'minute');
  return before !== undefined && format.moment(before * 1000, 'day') === day ? time : `${time}\n${day}`;
}

function widest(plot: uPlot, marks: string[] | null): number {
  plot.ctx.save();
  plot.ctx.font = FONT;
  const width = Math.max(0, ...(marks ?? []).map((mark) => plot.ctx.measureText(mark).width));
  plot.ctx.restore();
  return Math.ceil(width);
}
