// A gauge says where its value stands, also to those who do not see its colour.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertClean, figure, openBrowser, openPage, settled, tile } from './browser.js';
import { Program, until } from './program.js';

const FOLDER = process.env.DUTO_TEST_SCREENSHOTS || join(tmpdir(), 'duto-screenshots');
const MACHINES = {
  ready: '/api/machines',
  ingest: '/readings',
  text: `
pipeline: machines
source: { topic: readings, partitions: 1 }
database: { url: "\${DATABASE_URL}" }
record: { id: BIGINT, machine: TEXT, load: "NUMERIC(5,2)", free: INTEGER }
tables:
  readings:
    columns: { id: BIGINT PRIMARY KEY, machine: TEXT NOT NULL, load: "NUMERIC(5,2) NOT NULL", free: INTEGER NOT NULL }
    repeat: ignore
    select: SELECT id, machine, load, free FROM record
rollups:
  machines:
    from: readings
    by: []
    measures: { mean: avg(load), peak: max(load), least: min(free), readings: count(*) }
endpoints:
  GET /api/machines: { row: "SELECT mean, peak, least, readings FROM machines" }
ingest:
  POST /readings: {}
dashboard:
  title: Machines
  locale: en-US
  panels:
    - { kind: gauge, title: Mean load, from: /api/machines, value: mean, maximum: 100, thresholds: { warning: 80, critical: 95 } }
    - kind: gauge
      title: Highest load
      from: /api/machines
      value: peak
      maximum: 100
      thresholds: { critical: 95 }
      detail: { value: readings, title: readings, format: integer }
    - { kind: gauge, title: Least space, from: /api/machines, value: least, format: integer, maximum: 500, thresholds: { warning: 100, critical: 20 } }
    - { kind: gauge, title: Readings, from: /api/machines, value: readings, format: integer, maximum: 1000 }
`,
};

describe('a gauge', () => {
  let program;
  let browser;

  before(async () => {
    program = await Program.create('gauge', MACHINES);
    await program.start();
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await program?.remove();
  });

  async function store(records) {
    const before = await stored();
    await program.send(records);
    await until('the readings to be stored', async () => (await stored()) === before + records.length);
  }

  async function stored() {
    return Number((await (await fetch(`${program.address}/api/machines`)).json())?.readings ?? 0);
  }

  const meter = (page, number) => tile(page, number).getByRole('meter');

  test('shows its value, its level and its ends, and follows', async () => {
    await store([{ id: 1, machine: 'a', load: 70, free: 400 }, { id: 2, machine: 'b', load: 96.5, free: 90 }]);
    const { page, context, troubles } = await openPage(browser, program.address, { locale: 'en-US' });
    await settled(page);
    // (70 + 96.5) / 2 = 83.25
    assert.match(await figure(page, 1), /83\.25.*warning/);
    assert.match(await figure(page, 2), /96\.5.*critical/);
    assert.match(await figure(page, 3), /90.*warning/);
    assert.equal(await tile(page, 4).locator('.level').count(), 0);
    assert.match(await tile(page, 1).innerText(), /0 – 100/);
    assert.match(await tile(page, 2).innerText(), /2 readings/);
    assert.equal(await meter(page, 1).getAttribute('aria-valuemax'), '100');
    assert.match(await meter(page, 3).getAttribute('aria-valuetext'), /^90, warning$/);
    await store([{ id: 3, machine: 'a', load: 10, free: 15 }]);
    await page.waitForFunction(() => document.querySelector('[data-panel="3"] .level')?.textContent === 'critical');
    // (70 + 96.5 + 10) / 3
    assert.match(await figure(page, 1), /58\.83.*in order/);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('is clean on a phone and a desk, in light and dark', async () => {
    mkdirSync(FOLDER, { recursive: true });
    for (const size of [{ width: 1280, height: 700 }, { width: 360, height: 740 }]) {
      for (const theme of ['light', 'dark']) {
        const { page, context } = await openPage(browser, program.address, { ...size, theme });
        await settled(page);
        await page.waitForTimeout(500);
        await page.screenshot({ path: join(FOLDER, `gauge-${size.width}-${theme}.png`), fullPage: true });
        await assertClean(page);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= size.width, `${width} px wide`);
        await context.close();
      }
    }
  });
});
