/** What the overview knows of each pipeline: its totals as they came, and the rates that follow from them. */

import type { Text } from '../page/declaration.ts';

export interface Pipeline {
  name: string;
  file: string;
  topic: string;
  /** `address:port`; null where it serves nothing. */
  listen: string | null;
  /** Of its dashboard; null where it has none. */
  title: Text | null;
  records: number;
  stored: number;
  repeated: number;
  rejected: number;
  lag: number;
  committed_ms_ago: number | null;
  trouble: string[];
}

export interface Answer {
  as_of: string;
  log: 'kafka' | 'embedded';
  /** `address:port` of the topic browser. */
  topics: string | null;
  pipelines: Pipeline[];
}

/** The totals of one moment. */
export interface Sample {
  at: number;
  records: Map<string, number>;
}

export const KEPT_SAMPLES = 61;
const RATE_SAMPLES = 10;

/** The samples with one more; those older than a minute are dropped, and so are those of a process that began anew. */
export function withSample(samples: Sample[], answer: Answer): Sample[] {
  const records = new Map(answer.pipelines.map((pipeline) => [pipeline.name, pipeline.records]));
  const last = samples.at(-1);
  const isNew = last !== undefined && [...records].some(([name, count]) => count < (last.records.get(name) ?? 0));
  return [...(isNew ? [] : samples), { at: Date.parse(answer.as_of), records }].slice(-KEPT_SAMPLES);
}

/** Records a second between neighbours, oldest first. */
export function rates(samples: Sample[], name: string): number[] {
  const found: number[] = [];
  for (const [index, sample] of samples.entries()) {
    const before = samples[index - 1];
    if (before === undefined || sample.at <= before.at) continue;
    found.push(((sample.records.get(name) ?? 0) - (before.records.get(name) ?? 0)) / ((sample.at - before.at) / 1000));
  }
  return found;
}

/** The mean of the last ten seconds; null before two samples are there. */
export function rate(samples: Sample[], name: string): number | null {
  const [last, first] = [samples.at(-1), samples.at(-RATE_SAMPLES - 1) ?? samples[0]];
  if (last === undefined || first === undefined || last.at <= first.at) return null;
  return ((last.records.get(name) ?? 0) - (first.records.get(name) ?? 0)) / ((last.at - first.at) / 1000);
}

/** Those in trouble first, then those that lag, then in the file's order. */
export function byTrouble(pipelines: Pipeline[]): Pipeline[] {
  const weight = (pipeline: Pipeline): number => (pipeline.trouble.length > 0 ? 2 : pipeline.lag > 1000 ? 1 : 0);
  return [...pipelines].sort((left, right) => weight(right) - weight(left));
}

/** Where a pipeline is reached from the reader's place: its port, on the host that this page came from. */
export function addressOf(listen: string, host: string): string {
  return `http://${host}:${listen.slice(listen.lastIndexOf(':') + 1)}`;
}

/** The line through these values in a box of this size, the last one at its right edge. */
export function line(values: number[], width: number, height: number): string {
  const most = Math.max(...values, 1);
  const step = width / (KEPT_SAMPLES - 2);
  const left = width - (values.length - 1) * step;
  return values.map((value, index) => `${(left + index * step).toFixed(1)},${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`).join(' ');
}
