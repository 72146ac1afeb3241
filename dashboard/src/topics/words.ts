/** Bytes as a person reads them. */

import { writeBytes } from '../format/bytes.ts';
import type { Messages } from '../messages/en.ts';
import type { Piece } from './api.ts';

const PREVIEW = 400;

/** One line of a payload or a key; null is what is not there. */
export function preview(piece: Piece | null, words: Messages['topics'], locale: string): { text: string; isAbsent: boolean } {
  if (piece === null) return { text: words.tombstone, isAbsent: true };
  if (piece.text === undefined) return { text: words.binary(writeBytes(piece.bytes, locale)), isAbsent: true };
  if (piece.bytes === 0) return { text: words.emptyPayload, isAbsent: true };
  return { text: piece.text.slice(0, PREVIEW).replace(/\s+/g, ' '), isAbsent: false };
}

/** The bytes as text, or in base 16. */
export function textOf(piece: Piece | null): string {
  return piece?.text ?? piece?.hex ?? '';
}
