/** A message that is being written. */

import type { Message, Outgoing, Piece } from './api.ts';
import { prettyText } from './pretty.ts';

export interface Draft {
  /** Empty: the pipeline's own key, or none. */
  key: string;
  /** Bytes that no box can hold: they are sent as they are. */
  keyHex: string | null;
  payload: string;
  payloadHex: string | null;
  headers: { name: string; value: string; valueHex: string | null }[];
  partition: number | null;
}

export const EMPTY: Draft = { key: '', keyHex: null, payload: '', payloadHex: null, headers: [], partition: null };

const hexOf = (piece: Piece | null) => piece?.hex ?? null;

/** The same message again, to any partition that its key decides. */
export function draftOf(message: Message): Draft {
  return {
    key: message.key?.text ?? '',
    keyHex: hexOf(message.key),
    payload: prettyText(message.payload?.text ?? ''),
    payloadHex: hexOf(message.payload),
    headers: message.headers.map(({ name, value }) => ({ name, value: value?.text ?? '', valueHex: hexOf(value) })),
    partition: null,
  };
}

export function outgoingOf(draft: Draft, anyway: boolean): Outgoing {
  return {
    ...(draft.keyHex !== null ? { key_hex: draft.keyHex } : draft.key ? { key: draft.key } : {}),
    ...(draft.payloadHex !== null ? { payload_hex: draft.payloadHex } : { payload: draft.payload }),
    headers: draft.headers
      .filter(({ name }) => name)
      .map(({ name, value, valueHex }) => (valueHex === null ? { name, value } : { name, value_hex: valueHex })),
    ...(draft.partition === null ? {} : { partition: draft.partition }),
    ...(anyway ? { anyway } : {}),
  };
}
