import { describe, expect, it } from 'vitest';
import { advance, BEGINNING, rate, recordsBehind, type LiveEvent, type LiveState, type Pulse } from './state.ts';

const pulse = (perSecond: number): Pulse => ({
  at: '2025-10-12T08:15:00.000Z', lag: 0, records_per_second: perSecond, rejects: 0, rejects_last_hour: 0, positions: { 0: 7 }, troubles: [],
});

function after(...events: LiveEvent[]): { state: LiveState; asked: unknown[] } {
  const asked: unknown[] = [];
  const state = events.reduce((before, event) => {
    const step = advance(before, event);
    asked.push(step.ask);
    return step.state;
  }, BEGINNING);
  return { state, asked };
}

describe('the stream', () => {
  it('asks for everything at a greeting, and then for what changed', () => {
    const { state, asked } = after(
      { kind: 'hello', positions: { 0: 5 } },
      { kind: 'changed', positions: { 0: 6 }, sources: ['/a'] },
      { kind: 'tick', sources: ['/b'] },
      { kind: 'pulse', pulse: pulse(2) },
    );
    expect(asked).toEqual(['all', ['/a'], ['/b'], []]);
    expect(state).toMatchObject({ phase: 'live', commits: 1, positions: { 0: 7 } });
  });

  it('keeps the first moment at which the server was gone, and heals', () => {
    const { state } = after({ kind: 'hello', positions: {} }, { kind: 'lost', at: 100 }, { kind: 'lost', at: 900 });
    expect(state).toMatchObject({ phase: 'lost', lostAt: 100 });
    expect(advance(state, { kind: 'hello', positions: {} })).toMatchObject({ ask: 'all', state: { phase: 'live', lostAt: null } });
  });

  it('means its rate over ten seconds', () => {
    const pulses = [100, 1, 2, 3, 4, 5].map((one): LiveEvent => ({ kind: 'pulse', pulse: pulse(one) }));
    expect(rate(after(...pulses).state)).toBe(3);
    expect(rate(BEGINNING)).toBeNull();
    expect(rate(after(...pulses, { kind: 'lost', at: 0 }).state)).toBeNull();
  });
});

describe('a paused page', () => {
  const paused: LiveEvent[] = [{ kind: 'hello', positions: { 0: 5 } }, { kind: 'pause', at: 1 }];

  it('asks for nothing, and resumes with what it missed', () => {
    const { state, asked } = after(
      ...paused,
      { kind: 'changed', positions: { 0: 8 }, sources: ['/a', '/b'] },
      { kind: 'changed', positions: { 0: 9, 1: 2 }, sources: ['/a'] },
    );
    expect(asked.slice(2)).toEqual([[], []]);
    expect(recordsBehind(state)).toBe(6);
    expect(advance(state, { kind: 'resume' })).toMatchObject({ ask: ['/a', '/b'], state: { paused: null, missed: [] } });
  });

  it('resumes with everything when the server was gone meanwhile', () => {
    const { state } = after(...paused, { kind: 'lost', at: 2 }, { kind: 'hello', positions: { 0: 5 } }, { kind: 'tick', sources: ['/a'] });
    expect(advance(state, { kind: 'resume' }).ask).toBe('all');
  });

  it('keeps its figures, but not its troubles', () => {
    const { state } = after(
      { kind: 'pulse', pulse: pulse(2) },
      ...paused,
      { kind: 'pulse', pulse: { ...pulse(90), lag: 4, positions: { 0: 12 }, troubles: ['the database is gone'] } },
    );
    expect(state.pulse).toMatchObject({ lag: 0, records_per_second: 2, troubles: ['the database is gone'] });
    expect(recordsBehind(state)).toBe(7);
  });

  it('pauses once', () => {
    expect(after(...paused, { kind: 'pause', at: 9 }).state.paused).toEqual({ at: 1, positions: { 0: 5 } });
    expect(recordsBehind(BEGINNING)).toBe(0);
  });
});
