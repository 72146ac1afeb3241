/** The kinds of panels. A new one is a file beside this one and a line here. */

import * as bars from './Bars.svelte';
import * as columns from './Columns.svelte';
import * as donut from './Donut.svelte';
import * as gauge from './Gauge.svelte';
import type { PanelKind } from './kind.ts';
import * as number from './Number.svelte';
import * as pie from './Pie.svelte';
import * as table from './Table.svelte';
import * as timeline from './Timeline.svelte';

const KINDS: Record<string, PanelKind> = { number, gauge, timeline, bars, columns, donut, pie, table };

export function kindOf(name: string): PanelKind | undefined {
  return KINDS[name];
}
