import { leaveAfter } from '../page/session.ts';

/** What the topic browser's server answers, and how it is asked. */

export interface Lag {
  pipeline: string;
  /** null while its database is away. */
  lag: number | null;
  away: string | null;
}

export interface Topic {
  name: string;
  partitions: number;
  records: number;
  /** All offsets together behind the last record: grows with every one. */
  end: number;
  /** null until two samples are there. */
  records_per_second: number | null;
  pipelines: Lag[];
}

export interface TopicList {
  log: 'kafka' | 'embedded';
  at: string;
  topics: Topic[];
  hidden: number;
}

/** Bytes: as text where they are UTF-8, else in base 16; only the beginning where they are many. */
export interface Piece {
  text?: string;
  hex?: string;
  bytes: number;
  cut: boolean;
}

export interface Message {
  partition: number;
  offset: number;
  time_ms: number | null;
  key: Piece | null;
  /** null is a tombstone. */
  payload: Piece | null;
  headers: { name: string; value: Piece | null }[];
}

export interface Page {
  topic: string;
  partitions: { partition: number; low: number; high: number }[];
  messages: Message[];
  older: string | null;
  newer: string;
  has_newer: boolean;
  pipelines: string[];
}

export type OutcomeWord = 'waiting' | 'stored' | 'duplicate' | 'filtered' | 'rejected' | 'unknown';

export interface Outcome {
  partition: number;
  offset: number;
  outcome: OutcomeWord;
  why?: 'pruned' | 'other_topic';
  replayed?: boolean;
  status?: string;
  reject?: number;
  stage?: string;
  path?: string;
  rule?: string;
  reason?: string;
  batch?: number | null;
  at?: string | null;
}

export interface PipelineOutcomes {
  pipeline: string;
  away: string | null;
  outcomes: Outcome[];
}

export interface Problem {
  stage: string;
  path: string;
  rule: string;
  reason: string;
}

/** What a pipeline says of a record that is not sent yet. */
export interface Judgement {
  pipeline: string;
  problems: Problem[];
  key_field: string | null;
  key: string | null;
}

/** A message to send, as the server takes it. A key that is missing is the pipeline's own. */
export interface Outgoing {
  key?: string | null;
  key_hex?: string;
  payload?: string | null;
  payload_hex?: string;
  headers: { name: string; value?: string; value_hex?: string }[];
  partition?: number;
  anyway?: boolean;
}

/** The server's answer was not what was asked for; `body` is what it said. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly body: { error?: string; pipelines?: Judgement[] },
  ) {
    super(body.error ?? `HTTP ${status}`);
  }
}

const of = (topic: string, rest: string) => `/duto/topics/${encodeURIComponent(topic)}/${rest}`;

/** Parameters that have a value, as a query. */
export function query(parameters: Record<string, string | number | null | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

export const api = {
  topics: () => ask<TopicList>('/duto/topics'),
  messages: (topic: string, wanted: Record<string, string | number | null>) => ask<Page>(of(topic, `messages${query(wanted)}`)),
  message: (topic: string, place: string) => ask<Message>(of(topic, `messages/${place.replace(':', '/')}`)),
  payloadAddress: (topic: string, place: string) => of(topic, `messages/${place.replace(':', '/')}/payload`),
  outcomes: (topic: string, places: string[]) => ask<{ pipelines: PipelineOutcomes[] }>(of(topic, `outcomes${query({ at: places.join(',') })}`)),
  example: (topic: string) => ask<{ payload: string | null; key: string | null }>(of(topic, 'example')),
  check: (topic: string, outgoing: Outgoing) => ask<{ ok: boolean; pipelines: Judgement[] }>(of(topic, 'check'), outgoing),
  send: (topic: string, outgoing: Outgoing) => ask<{ partition: number; offset: number }>(of(topic, 'messages'), outgoing),
  searchAddress: (topic: string, wanted: Record<string, string | number | null>) => of(topic, `search${query(wanted)}`),
  followAddress: (topic: string, wanted: Record<string, string | number | null>) => of(topic, `follow${query(wanted)}`),
};

async function ask<Answer>(address: string, body?: unknown): Promise<Answer> {
  const response = await fetch(
    address,
    body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
  );
  if (body === undefined) leaveAfter(response.status);
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as Answer;
  let said: { error?: string };
  try {
    said = JSON.parse(text) as { error?: string };
  } catch {
    said = { error: text.trim() || `HTTP ${response.status}` };
  }
  throw new Refused(response.status, said);
}

/** `0:17`, by which a message is called everywhere. */
export function placeOf(message: { partition: number; offset: number }): string {
  return `${message.partition}:${message.offset}`;
}
