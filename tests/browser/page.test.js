// The page shows what the tables say, and follows them.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { figure, openBrowser, openPage, settled, tile } from './browser.js';
import { Program } from './program.js';
import { dayOfEvents, event } from './records.js';

describe('the page', () => {
  let program;
  let browser;

  before(async () => {
    program = await Program.create('page');
    await program.start();
    await program.sendAndWait(dayOfEvents());
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await program?.remove();
  });

  test('shows every panel, in Portuguese, with no error and no request to another host', async (t) => {
    const { page, context, troubles } = await openPage(browser, program.address);
    await settled(page);
    assert.equal(await page.title(), 'E-commerce ao vivo · duto');
    assert.equal(await page.locator('html').getAttribute('lang'), 'pt-BR');
    assert.equal(await page.locator('[data-panel]').count(), 8);
    const total = await program.totalEvents();
    assert.equal(await figure(page, 1), new Intl.NumberFormat('pt-BR').format(total));
    assert.match(await figure(page, 3), /^R\$ [\d.]+,\d\d$/);
    assert.equal(await tile(page, 6).locator('.row').count(), 10);
    assert.ok((await tile(page, 7).locator('path.slice').count()) <= 6);
    assert.equal(await tile(page, 8).locator('.column').count(), 5);
    await page.waitForTimeout(1500);
    assert.deepEqual(troubles.list, []);
    const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0);
    t.diagnostic(`first paint after ${Math.round(paint)} ms`);
    assert.ok(paint < 1500, `first paint after ${paint} ms`);
    await context.close();
  });

  test('is small, and moves nothing while it loads', async (t) => {
    const { page, context } = await openPage(browser, program.address, { path: '/openapi.json' });
    await page.addInitScript(() => {
      globalThis.shifted = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shifted += entry.value;
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await page.goto(program.address);
    await settled(page);
    await page.waitForTimeout(500);
    const shifted = await page.evaluate(() => globalThis.shifted);
    assert.ok(shifted < 0.01, `the layout shifted by ${shifted}`);
    const bytes = await page.evaluate(() =>
      performance.getEntries().filter((entry) => entry.entryType === 'navigation' || entry.name.includes('/duto/assets/'))
        .reduce((sum, entry) => sum + (entry.encodedBodySize ?? 0), 0),
    );
    t.diagnostic(`${bytes} bytes came over the wire`);
    assert.ok(bytes > 0 && bytes < 100 * 1024, `the page takes ${bytes} bytes`);
    await context.close();
  });

  test('changes a number within a second of the event, without a reload', async (t) => {
    const { page, context, troubles } = await openPage(browser, program.address);
    await settled(page);
    await page.evaluate(() => (globalThis.isSamePage = true));
    const total = await program.totalEvents();
    const wanted = new Intl.NumberFormat('pt-BR').format(total + 1);
    const sent = Date.now();
    await program.send([event(`live-${sent}`)]);
    await page.waitForFunction((text) => document.querySelector('[data-panel="1"] .value')?.textContent.includes(text), wanted, { polling: 10 });
    const took = Date.now() - sent;
    t.diagnostic(`on the page after ${took} ms`);
    assert.ok(took < 1000, `it took ${took} ms`);
    assert.equal(await page.evaluate(() => globalThis.isSamePage), true);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('asks an endpoint once, though four panels show it', async () => {
    const { page, context } = await openPage(browser, program.address, { path: '/openapi.json' });
    const asked = [];
    page.on('request', (request) => request.url().endsWith('/api/metrics/summary') && asked.push(Date.now()));
    await page.goto(program.address);
    await page.waitForFunction(() => document.querySelector('[data-panel="4"] .value'));
    // One at the beginning, and one at the greeting of the stream.
    assert.ok(asked.length <= 2, `asked ${asked.length} times`);
    await context.close();
  });

  test('holds a figure that cannot be read, says why, and heals', async () => {
    const { page, context, troubles } = await openPage(browser, program.address);
    await settled(page);
    troubles.isServerGone = true;
    await program.query('ALTER VIEW top_products RENAME TO top_products_away');
    await program.send([event(`broken-${Date.now()}`, 'purchase')]);
    const failure = tile(page, 6).locator('.failure');
    await failure.waitFor();
    assert.match(await failure.innerText(), /Não foi possível ler desde \d\d:\d\d:\d\d: relation "top_products" does not exist/);
    assert.match(await failure.locator('.age').innerText(), /^há \d+ s$/);
    assert.equal(await tile(page, 6).locator('.row').count(), 10, 'the last good figures stay');
    assert.equal(await tile(page, 7).locator('.failure').count(), 0);
    await program.query('ALTER VIEW top_products_away RENAME TO top_products');
    await failure.waitFor({ state: 'detached' });
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('has its API documentation at /docs', async () => {
    const { page, context, troubles } = await openPage(browser, program.address, { path: '/docs' });
    await page.getByText('/api/metrics/summary').first().waitFor();
    assert.deepEqual(troubles.list, []);
    await context.close();
  });
});
