/** The path of a series whose rows each stand for the time up to the next: a level a row, and nothing where there is none. */

import type uPlot from 'uplot';

/** uPlot clips gaps out of one long path, which leaves its risers standing at their edges; here each run is a path of its own. */
export function steps(plot: uPlot, seriesIndex: number, from: number, to: number): uPlot.Series.Paths {
  const times = plot.data[0];
  const values = plot.data[seriesIndex] ?? [];
  const scale = plot.series[seriesIndex]?.scale ?? 'y';
  const x = (index: number) => Math.round(plot.valToPos(times[index] ?? 0, 'x', true));
  const y = (value: number) => Math.round(plot.valToPos(value, scale, true));
  const ground = y(Math.max(0, plot.scales[scale]?.min ?? 0));
  const stroke = new Path2D();
  const fill = new Path2D();
  let isOpen = false;
  for (let index = from; index <= to; index += 1) {
    const value = values[index];
    if (value === null || value === undefined) {
      isOpen = false;
      continue;
    }
    const [left, right, level] = [x(index), x(Math.min(index + 1, times.length - 1)), y(value)];
    if (isOpen) stroke.lineTo(left, level);
    else stroke.moveTo(left, level);
    stroke.lineTo(right, level);
    fill.rect(left, level, right - left, ground - level);
    isOpen = true;
  }
  // 1: a fill that is clipped to the plot.
  return { stroke, fill, clip: null, band: null, flags: 1 };
}
