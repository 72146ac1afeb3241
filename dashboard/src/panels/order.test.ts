import { describe, expect, it } from 'vitest';
import type { Figure } from '../page/declaration.ts';
import { nextOrder, ordered, type Order } from './order.ts';

const name: Figure = { value: 'name', title: 'Name', format: 'text' };
const took: Figure = { value: 'took', title: 'Took', format: 'duration' };
const at: Figure = { value: 'at', title: 'At', format: 'datetime' };
const rows = [
  { name: 'Ábaco', took: '00:02:00', at: '2025-01-02T00:00:00' },
  { name: 'b10', took: null, at: '2025-01-01T00:00:00Z' },
  { name: 'b9', took: 30, at: null },
];
const names = (order: Order | null) => ordered(rows, [name, took, at], order, 'pt-BR').map((row) => row.name);

describe('a table', () => {
  it('is sorted by what its columns mean, and what is missing comes last', () => {
    expect(names({ column: 'took', falling: true })).toEqual(['Ábaco', 'b9', 'b10']);
    expect(names({ column: 'took', falling: false })).toEqual(['b9', 'Ábaco', 'b10']);
    expect(names({ column: 'at', falling: false })).toEqual(['b10', 'Ábaco', 'b9']);
    expect(names({ column: 'name', falling: false })).toEqual(['Ábaco', 'b9', 'b10']);
    expect(names(null)).toEqual(['Ábaco', 'b10', 'b9']);
    expect(names({ column: 'gone', falling: true })).toEqual(['Ábaco', 'b10', 'b9']);
  });

  it('goes through its orders', () => {
    const falling = nextOrder(null, took);
    expect(falling).toEqual({ column: 'took', falling: true });
    expect(nextOrder(falling, took)).toEqual({ column: 'took', falling: false });
    expect(nextOrder({ column: 'took', falling: false }, took)).toBeNull();
    expect(nextOrder(falling, name)).toEqual({ column: 'name', falling: false });
  });
});
