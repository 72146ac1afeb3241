// A server that is killed is missed, and found again, without a reload.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { figure, openBrowser, openPage, settled } from './browser.js';
import { Program } from './program.js';
import { dayOfEvents, event } from './records.js';

describe('an outage', () => {
  let program;
  let browser;

  before(async () => {
    program = await Program.create('outage');
    await program.start();
    await program.sendAndWait(dayOfEvents());
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await program?.remove();
  });

  test('shows the banner over grey figures with their age, and heals by itself', async (t) => {
    const { page, context, troubles } = await openPage(browser, program.address);
    await settled(page);
    await page.evaluate(() => (globalThis.isSamePage = true));
    const shown = await figure(page, 1);

    troubles.isServerGone = true;
    const killed = Date.now();
    await program.kill();
    const banner = page.getByRole('alert');
    await banner.waitFor();
    t.diagnostic(`the banner after ${Date.now() - killed} ms`);
    assert.match(await banner.innerText(), /O servidor não responde[\s\S]*Sem conexão desde \d\d:\d\d:\d\d \(há \d+ s\)/);
    assert.equal(await figure(page, 1), shown, 'the figures stay');
    assert.equal(await page.locator('.tile.stale').count(), 8);
    await page.waitForTimeout(2500);
    assert.match(await page.locator('[data-panel="1"] .as-of').innerText(), /^há \d+ s/);

    await program.start();
    const back = Date.now();
    await banner.waitFor({ state: 'detached' });
    t.diagnostic(`healed ${Date.now() - back} ms after the program was ready`);
    assert.ok(Date.now() - back < 3500);
    assert.equal(await page.locator('.tile.stale').count(), 0);
    const total = await program.totalEvents();
    await program.send([event(`back-${back}`)]);
    await page.waitForFunction(
      (text) => document.querySelector('[data-panel="1"] .value')?.textContent.includes(text),
      new Intl.NumberFormat('pt-BR').format(total + 1),
    );
    assert.equal(await page.evaluate(() => globalThis.isSamePage), true);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });
});
