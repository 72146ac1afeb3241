import { describe, expect, it } from 'vitest';
import { addressOf, byTrouble, line, rate, rates, withSample, type Answer, type Pipeline } from './state.ts';

const pipeline = (name: string, records: number, more: Partial<Pipeline> = {}): Pipeline => ({
  name, file: `${name}.yaml`, topic: name, listen: null, title: null, records, stored: records, repeated: 0, rejected: 0, lag: 0,
  committed_ms_ago: 0, trouble: [], ...more,
});
const answer = (second: number, ...pipelines: Pipeline[]): Answer => ({
  as_of: new Date(second * 1000).toISOString(), log: 'embedded', topics: null, pipelines,
});

describe('rates', () => {
  it('follow from the totals', () => {
    const samples = [answer(0, pipeline('a', 0)), answer(1, pipeline('a', 50)), answer(3, pipeline('a', 150))].reduce(withSample, []);
    expect(rates(samples, 'a')).toEqual([50, 50]);
    expect(rate(samples, 'a')).toBe(50);
    expect(rate(samples.slice(0, 1), 'a')).toBeNull();
  });

  it('begin anew with the process', () => {
    const samples = [answer(0, pipeline('a', 100)), answer(1, pipeline('a', 3))].reduce(withSample, []);
    expect(samples).toHaveLength(1);
  });

  it('keep a minute', () => {
    const answers = Array.from({ length: 100 }, (_, second) => answer(second, pipeline('a', second)));
    expect(answers.reduce(withSample, [])).toHaveLength(61);
  });
});

it('sorts by trouble', () => {
  const names = byTrouble([pipeline('calm', 0), pipeline('late', 0, { lag: 5000 }), pipeline('ill', 0, { trouble: ['x'] })]).map(({ name }) => name);
  expect(names).toEqual(['ill', 'late', 'calm']);
});

it('finds a pipeline on the host of the page', () => {
  expect(addressOf('0.0.0.0:8081', 'box.local')).toBe('http://box.local:8081');
  expect(addressOf('[::1]:80', 'localhost')).toBe('http://localhost:80');
});

it('draws its line to the right edge', () => {
  expect(line([0, 10], 59, 12)).toBe('58.0,11.0 59.0,1.0');
});
