import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Answers, type Answer } from './answers.ts';

/** A server whose answers the test hands out one by one. */
function server() {
  const requests: { source: string; known: string | undefined; answer(status: number, body?: unknown, etag?: string): void; fail(): void }[] = [];
  const fetcher = ((source: string, init?: RequestInit) =>
    new Promise<Response>((resolve, reject) => {
      requests.push({
        source,
        known: (init?.headers as Record<string, string>)['if-none-match'],
        answer: (status, body, etag) =>
          resolve(
            new Response(status === 304 ? null : JSON.stringify(body), {
              status,
              headers: { 'x-duto-as-of': '2025-10-12T08:15:00.000Z', 'x-duto-position': '0:7', ...(etag ? { etag } : {}) },
            }),
          ),
        fail: () => reject(new TypeError('Failed to fetch')),
      });
    })) as typeof fetch;
  const published: [string, Answer][] = [];
  const answers = new Answers((source, answer) => published.push([source, answer]), fetcher);
  return { requests, published, answers };
}

const settled = () => vi.advanceTimersByTimeAsync(0);

describe('answers', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('are asked for once at a time, and once more when they changed meanwhile', async () => {
    const { requests, published, answers } = server();
    answers.ask(['/a']);
    answers.ask(['/a', '/a']);
    expect(requests).toHaveLength(1);
    requests[0]?.answer(200, [1], '"x"');
    await settled();
    expect(requests).toHaveLength(2);
    expect(requests[1]?.known).toBe('"x"');
    requests[1]?.answer(304);
    await settled();
    expect(requests).toHaveLength(2);
    expect(published).toEqual([['/a', { data: [1], asOf: Date.UTC(2025, 9, 12, 8, 15), position: '0:7', failure: null }]]);
  });

  it('that fail keep the last good figures, say why and since when, and are asked again', async () => {
    const { requests, published, answers } = server();
    answers.ask(['/a']);
    requests[0]?.answer(200, { n: 1 });
    await settled();
    answers.ask(['/a']);
    requests[1]?.answer(500, { error: 'relation "x" does not exist' });
    await settled();
    const since = published[1]?.[1].failure?.since;
    expect(published[1]?.[1]).toMatchObject({ data: { n: 1 }, failure: { reason: 'relation "x" does not exist', status: 500 } });
    await vi.advanceTimersByTimeAsync(2000);
    requests[2]?.fail();
    await settled();
    expect(published[2]?.[1].failure).toEqual({ reason: 'Failed to fetch', status: 0, since });
    await vi.advanceTimersByTimeAsync(2000);
    requests[3]?.answer(200, { n: 2 });
    await settled();
    expect(published[3]?.[1]).toMatchObject({ data: { n: 2 }, failure: null });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(requests).toHaveLength(4);
  });

  it('that never came are forgiven when the server is back', async () => {
    const { requests, published, answers } = server();
    answers.ask(['/a', '/b']);
    requests[0]?.fail();
    requests[1]?.answer(500, { error: 'no' });
    await settled();
    answers.forgive();
    expect(published.at(-1)).toMatchObject(['/a', { failure: null }]);
    expect(published).toHaveLength(3);
  });

  it('without a row are empty, not failed', async () => {
    const { requests, published, answers } = server();
    answers.ask(['/a']);
    requests[0]?.answer(404, { error: 'there is no such row' });
    await settled();
    expect(published[0]?.[1]).toMatchObject({ data: null, failure: null });
  });
});
