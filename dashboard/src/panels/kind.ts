/** What a kind of panel is: a component, a place on the page, and the columns of the table that shows the same figures. */

import type { Component } from 'svelte';
import type { Messages } from '../messages/en.ts';
import type { Figure, PanelDeclaration, Row } from '../page/declaration.ts';

export interface PanelProps {
  panel: PanelDeclaration;
  /** What the endpoint answered, at least one row. */
  rows: Row[];
  /** The panel's title in the reader's language. */
  title: string;
}

export interface PanelKind {
  default: Component<PanelProps>;
  /** Cards come first, then what is wide, then two columns. */
  place: 'card' | 'wide' | 'half';
  /** Whether each of its labels has a colour, which it then has everywhere. */
  isOfCategories?: boolean;
  /** The columns of the table that is one key away. None: the panel is text already. */
  figures?: (panel: PanelDeclaration, words: Messages) => Figure[];
}

/** The table of what has a name and a value. */
export function namesAndValues(panel: PanelDeclaration, words: Messages): Figure[] {
  return [
    { value: panel.label ?? '', title: words.label, format: 'text' },
    { value: panel.value ?? '', title: words.value, format: panel.format },
  ];
}
