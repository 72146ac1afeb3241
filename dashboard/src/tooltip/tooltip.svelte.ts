/** The one tooltip of the page: hover, focus and tap show the same. */

import type { Attachment } from 'svelte/attachments';

export interface TooltipLine {
  label: string;
  value: string;
  colour?: string | null;
}

export interface TooltipContent {
  title?: string;
  lines?: TooltipLine[];
  note?: string;
}

export interface Anchor {
  left: number;
  top: number;
  width: number;
  height: number;
}

class TooltipState {
  content = $state.raw<TooltipContent | null>(null);
  anchor = $state.raw<Anchor>({ left: 0, top: 0, width: 0, height: 0 });
  #owner: unknown = null;
  #leave: (() => void) | undefined;

  /** Shows this until its owner hides it, or another owner shows something. `left` is called when somebody else ends it. */
  show(owner: unknown, anchor: Anchor, content: TooltipContent, left?: () => void): void {
    if (this.#owner !== owner) this.#leave?.();
    this.#owner = owner;
    this.#leave = left;
    this.anchor = anchor;
    this.content = content;
  }

  hide(owner: unknown): void {
    if (this.#owner !== owner) return;
    this.#owner = null;
    this.#leave = undefined;
    this.content = null;
  }

  /** Whether there was one to dismiss. */
  dismiss(): boolean {
    const shown = this.content !== null;
    const leave = this.#leave;
    this.hide(this.#owner);
    leave?.();
    return shown;
  }
}

export const tooltip = new TooltipState();

/** Attaches a tooltip to an element; `content` is read while it shows, so that it stays true. */
export function tip(content: () => TooltipContent): Attachment<HTMLElement> {
  return (element) => {
    let shown = $state(false);
    const show = () => (shown = true);
    const hide = () => (shown = false);
    const focus = () => element.matches(':focus-visible') && show();
    const events: [string, () => void][] = [
      ['pointerenter', show], ['pointerdown', show], ['pointerleave', hide], ['focus', focus], ['blur', hide],
    ];
    for (const [name, listener] of events) element.addEventListener(name, listener);
    $effect(() => {
      if (shown) tooltip.show(element, element.getBoundingClientRect(), content(), hide);
      else tooltip.hide(element);
    });
    return () => {
      for (const [name, listener] of events) element.removeEventListener(name, listener);
      tooltip.hide(element);
    };
  };
}
