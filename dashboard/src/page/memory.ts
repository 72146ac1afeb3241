/** What the browser remembers of this reader. A browser that keeps nothing only forgets. */

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Forgotten at the next visit.
  }
}

/** The store itself, where there is one. */
export function storage(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
