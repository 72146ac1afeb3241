/** A place in every partition, as the server writes it: `0:120,1:98`. */

export type Marks = Map<number, number>;

export function readMarks(text: string | null): Marks {
  const marks: Marks = new Map();
  for (const part of (text ?? '').split(',')) {
    const [partition, offset] = part.split(':').map(Number);
    if (part && partition !== undefined && offset !== undefined && Number.isFinite(partition + offset)) marks.set(partition, offset);
  }
  return marks;
}

export function writeMarks(marks: Marks): string {
  return [...marks].map(([partition, offset]) => `${partition}:${offset}`).join(',');
}

export function sumOf(marks: Marks): number {
  return [...marks.values()].reduce((sum, offset) => sum + offset, 0);
}
