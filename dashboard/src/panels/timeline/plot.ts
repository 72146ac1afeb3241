/** A timeline on uPlot: what is drawn, and how it follows the pointer. */

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Formatter } from '../../format/formatter.ts';
import type { Figure } from '../../page/declaration.ts';
import type { Span } from '../../page/address.svelte.ts';
import { colourOf, fadedColourOf } from '../../theme/theme.svelte.ts';
import { axesOf, HEIGHT } from './axes.ts';
import { steps } from './steps.ts';
import { columnsOf, indexAt, type Track } from './track.ts';

/** All timelines of a page show one cursor. */
const SYNC = 'duto';
/** A shorter drag is a click. */
const LEAST_DRAG_PX = 8;

export interface Heard {
  /** The row at the cursor; `own` when the pointer is in this plot, and not in one that is synced with it. */
  cursor(index: number | null, own: boolean): void;
  zoom(span: Span | null): void;
}

export class Plot {
  readonly #plot: uPlot;
  readonly #band = document.createElement('div');
  readonly #series: Figure[];
  #track: Track;
  #span: Span | null;
  /** Whether the cursor was put by this plot's own pointer or keys, and not by a synced plot's. */
  #isOwn = false;

  constructor(target: HTMLElement, series: Figure[], track: Track, span: Span | null, format: () => Formatter, heard: Heard) {
    this.#series = series;
    this.#track = track;
    this.#span = span;
    this.#band.className = 'band';
    this.#plot = new uPlot(
      {
        width: Math.max(target.clientWidth, 1),
        height: HEIGHT,
        legend: { show: false },
        padding: [8, 8, 0, 0],
        scales: {
          x: { time: true, auto: false, range: () => [(this.#span ?? this.#whole).from, (this.#span ?? this.#whole).to] },
          ...Object.fromEntries(this.#formats.map((one) => [one, { range: (_: uPlot, least: number, most: number) => yRange(least, most) }])),
        },
        axes: axesOf(this.#formats, format),
        series: [{}, ...series.map((one, index) => this.#line(one, index))],
        cursor: {
          sync: { key: SYNC, setSeries: false },
          points: { show: false },
          dataIdx: (plot, _, nearest) => indexAt(this.#track, plot.posToVal(plot.cursor.left ?? -1, 'x')) ?? Math.min(nearest, this.#track.times.length - 1),
          drag: { x: true, y: false, setScale: false, dist: LEAST_DRAG_PX },
          bind: { dblclick: () => () => (heard.zoom(null), null) },
        },
        hooks: {
          ready: [(plot) => this.#begin(plot.over)],
          setCursor: [
            (plot) => {
              const index = this.#atCursor(plot);
              this.#highlight(index);
              heard.cursor(index, this.#isOwn);
            },
          ],
          setSelect: [(plot) => this.#zoomTo(plot, heard)],
          drawClear: [(plot) => this.#shadeTheRest(plot)],
        },
      },
      columnsOf(track) as uPlot.AlignedData,
      target,
    );
  }

  show(track: Track, span: Span | null): void {
    this.#track = track;
    this.#span = span;
    this.#plot.setData(columnsOf(track) as uPlot.AlignedData, false);
    const { from, to } = span ?? this.#whole;
    this.#plot.setScale('x', { min: from, max: to });
  }

  resize(width: number): void {
    if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  /** Draws again, with other colours, words or numbers. */
  redraw(): void {
    this.#plot.redraw(false, true);
  }

  showSeries(index: number, isShown: boolean): void {
    this.#plot.setSeries(index + 1, { show: isShown });
  }

  /** Where a row is on the screen, as high as its highest value. */
  place(index: number): DOMRect {
    const over = this.#plot.over.getBoundingClientRect();
    const [left, right] = this.#edges(index);
    const heights = this.#series.map((one, at) => {
      const value = this.#track.values[at]?.[index] ?? null;
      return value === null ? over.height : this.#plot.valToPos(value, one.format);
    });
    const top = Math.max(0, Math.min(...heights));
    return new DOMRect(over.left + left, over.top + top, right - left, over.height - top);
  }

  /** Puts the cursor at a row, as the pointer would; null takes it away. */
  browse(index: number | null): void {
    this.#isOwn = index !== null;
    if (index === null) this.#plot.setCursor({ left: -10, top: -10 });
    else {
      const [left, right] = this.#edges(index);
      this.#plot.setCursor({ left: (left + right) / 2, top: 8 });
    }
  }

  destroy(): void {
    this.#plot.destroy();
  }

  get #formats(): string[] {
    return [...new Set(this.#series.map((one) => one.format))];
  }

  get #whole(): Span {
    return { from: this.#track.begin, to: this.#track.end };
  }

  #line(figure: Figure, index: number): uPlot.Series {
    const colour = () => colourOf(`--mark-${index % 7}`);
    return {
      scale: figure.format,
      stroke: colour,
      fill: index === 0 ? () => fadedColourOf(`--mark-${index % 7}`, 0.14) : undefined,
      width: 1.5,
      paths: (plot, at, from, to) => (this.#track.step ? steps : LINEAR)?.(plot, at, from, to) ?? null,
      points: { show: (plot, at) => !this.#track.step && (plot.data[at]?.length ?? 0) < 60, size: 4 },
    };
  }

  #begin(over: HTMLElement): void {
    over.append(this.#band);
    over.addEventListener('pointerenter', () => (this.#isOwn = true));
    over.addEventListener('pointerleave', () => (this.#isOwn = false));
  }

  #atCursor(plot: uPlot): number | null {
    const left = plot.cursor.left ?? -1;
    return left < 0 ? null : indexAt(this.#track, plot.posToVal(left, 'x'));
  }

  #edges(index: number): [number, number] {
    const time = this.#track.times[index] ?? 0;
    const { width } = this.#plot.over.getBoundingClientRect();
    const at = (seconds: number) => Math.max(0, Math.min(this.#plot.valToPos(seconds, 'x'), width));
    return [at(time), at(time + (this.#track.step ?? 0))];
  }

  #highlight(index: number | null): void {
    const isShown = index !== null && this.#track.step !== null;
    this.#band.hidden = !isShown;
    if (!isShown) return;
    const [left, right] = this.#edges(index);
    this.#band.style.left = `${left}px`;
    this.#band.style.width = `${right - left}px`;
  }

  #zoomTo(plot: uPlot, heard: Heard): void {
    const { left, width } = plot.select;
    if (width < LEAST_DRAG_PX) return;
    heard.zoom({ from: plot.posToVal(left, 'x'), to: plot.posToVal(left + width, 'x') });
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  /** The step that is not over yet says less than the others: what is to come of it is shaded. */
  #shadeTheRest(plot: uPlot): void {
    const { times, step } = this.#track;
    const last = times.at(-1);
    const now = Date.now() / 1000;
    if (step === null || last === undefined || now < last || now >= last + step) return;
    const { left, top, width, height } = plot.bbox;
    const from = Math.max(left, plot.valToPos(now, 'x', true));
    const to = Math.min(left + width, plot.valToPos(last + step, 'x', true));
    if (to <= from) return;
    plot.ctx.save();
    plot.ctx.fillStyle = colourOf('--hover');
    plot.ctx.fillRect(from, top, to - from, height);
    plot.ctx.restore();
  }
}

const LINEAR = uPlot.paths.linear?.({});

/** From zero, unless there is less than nothing. */
function yRange(least: number, most: number): [number, number] {
  if (least === null || most === null || (least === 0 && most === 0)) return [0, 1];
  return uPlot.rangeNum(Math.min(0, least), most, { min: { pad: least < 0 ? 0.1 : 0, soft: 0, mode: 1 }, max: { pad: 0.1, soft: 0, mode: 1 } }) as [number, number];
}
