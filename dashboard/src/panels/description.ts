/** The tooltip of a mark. */

import type { Formatter } from '../format/formatter.ts';
import type { Messages } from '../messages/en.ts';
import type { PanelDeclaration, Text } from '../page/declaration.ts';
import type { Categories } from '../theme/categories.svelte.ts';
import type { TooltipContent } from '../tooltip/tooltip.svelte.ts';
import type { Mark } from './ranking.ts';

interface Reader {
  format: Formatter;
  words: Messages;
  text(text: Text): string;
}

/** Its value in full, its share of the whole where it is given, and the category that gives it its colour. */
export function describeMark(
  mark: Mark | undefined,
  panel: PanelDeclaration,
  reader: Reader,
  categories: Categories,
  share?: number,
): TooltipContent {
  if (!mark) return {};
  const category = categories.categoryOf(mark.row, panel.label ?? '');
  const colour = categories.colourOf(mark.row, panel.label ?? '');
  const lines = [{ label: reader.words.value, value: reader.format.write(mark.value, panel.format), colour }];
  if (share !== undefined) lines.push({ label: reader.words.share, value: reader.format.share(share), colour: null });
  // Another field's category: its name says what the colour means.
  const note = category && category.field !== panel.label ? category.name : undefined;
  return { title: mark.name, lines, note };
}
