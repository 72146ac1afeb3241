/** What the page knows of the stream, as values: an event and a state give the next state, and which endpoints to ask. */

export type Positions = Record<string, number>;

export interface Pulse {
  at: string;
  lag: number;
  records_per_second: number;
  rejects: number;
  rejects_last_hour: number;
  positions: Positions;
  troubles: string[];
}

export type LiveEvent =
  | { kind: 'hello'; positions: Positions }
  | { kind: 'changed'; positions: Positions; sources: string[] }
  | { kind: 'tick'; sources: string[] }
  | { kind: 'pulse'; pulse: Pulse }
  | { kind: 'lost'; at: number }
  | { kind: 'pause'; at: number }
  | { kind: 'resume' };

export interface LiveState {
  phase: 'connecting' | 'live' | 'lost';
  /** When the server went, by the reader's clock. */
  lostAt: number | null;
  paused: { at: number; positions: Positions } | null;
  /** What a paused page did not ask for; null stands for everything. */
  missed: string[] | null;
  pulse: Pulse | null;
  /** The last rates, newest last, for a mean over ten seconds. */
  rates: number[];
  positions: Positions;
  /** How many commits were seen: the dot beats with it. */
  commits: number;
}

/** Which endpoints to ask now. */
export type Ask = string[] | 'all';

export interface Step {
  state: LiveState;
  ask: Ask;
}

/** Ten seconds of pulses, which come every two. */
const RATES = 5;

export const BEGINNING: LiveState = {
  phase: 'connecting', lostAt: null, paused: null, missed: [], pulse: null, rates: [], positions: {}, commits: 0,
};

export function advance(state: LiveState, event: LiveEvent): Step {
  switch (event.kind) {
    case 'hello':
      // Whatever happened before this connection may have been missed.
      return askUnlessPaused({ ...state, phase: 'live', lostAt: null, positions: event.positions, rates: [] }, 'all');
    case 'changed':
      return askUnlessPaused({ ...state, positions: event.positions, commits: state.commits + 1 }, event.sources);
    case 'tick':
      return askUnlessPaused(state, event.sources);
    case 'pulse':
      return { state: takePulse(state, event.pulse), ask: [] };
    case 'lost':
      return { state: { ...state, phase: 'lost', lostAt: state.lostAt ?? event.at, rates: [] }, ask: [] };
    case 'pause':
      return { state: state.paused ? state : { ...state, paused: { at: event.at, positions: state.positions } }, ask: [] };
    case 'resume':
      return { state: { ...state, paused: null, missed: [] }, ask: state.missed ?? 'all' };
  }
}

/** A paused page stands still, but for how far behind it is, and for troubles. */
function takePulse(state: LiveState, pulse: Pulse): LiveState {
  const { positions } = pulse;
  if (state.paused && state.pulse) return { ...state, positions, pulse: { ...state.pulse, troubles: pulse.troubles } };
  return { ...state, positions, pulse, rates: [...state.rates, pulse.records_per_second].slice(-RATES) };
}

function askUnlessPaused(state: LiveState, ask: Ask): Step {
  if (!state.paused) return { state, ask };
  const missed = ask === 'all' || state.missed === null ? null : [...new Set([...state.missed, ...ask])];
  return { state: { ...state, missed }, ask: [] };
}

/** Records that came since the page stands still. */
export function recordsBehind(state: LiveState): number {
  if (!state.paused) return 0;
  const before = state.paused.positions;
  return Object.entries(state.positions).reduce((sum, [partition, next]) => sum + Math.max(0, next - (before[partition] ?? 0)), 0);
}

/** Records a second over the last ten seconds. */
export function rate(state: LiveState): number | null {
  if (state.rates.length === 0) return null;
  const mean = state.rates.reduce((sum, one) => sum + one, 0) / state.rates.length;
  return Math.round(mean * 10) / 10;
}
