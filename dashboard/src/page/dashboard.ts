/** What every panel needs of the page, handed down by Svelte's context. */

import { getContext, setContext } from 'svelte';
import { Live } from '../live/live.svelte.ts';
import { Categories } from '../theme/categories.svelte.ts';
import { sourcesOf, type Declaration, type PanelDeclaration } from './declaration.ts';
import { storage } from './memory.ts';

const KEY = Symbol('dashboard');

export class Dashboard {
  readonly live: Live;
  readonly categories: Categories;

  /** `ofCategories`: the panels whose labels have colours. */
  constructor(
    readonly declaration: Declaration,
    ofCategories: PanelDeclaration[],
  ) {
    this.live = new Live(sourcesOf(declaration.panels));
    this.categories = new Categories(declaration.pipeline, ofCategories, storage());
  }

  provide(): this {
    return setContext(KEY, this);
  }
}

export function dashboard(): Dashboard {
  return getContext<Dashboard>(KEY);
}
