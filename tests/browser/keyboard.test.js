// Everything by keyboard: the pause, the tables, the values of a chart, the zoom, the language, the theme.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { figure, openBrowser, openPage, settled, tile } from './browser.js';
import { Program } from './program.js';
import { dayOfEvents, event } from './records.js';

describe('the keyboard', () => {
  let program;
  let browser;

  before(async () => {
    program = await Program.create('keyboard');
    await program.start();
    await program.sendAndWait(dayOfEvents());
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await program?.remove();
  });

  async function opened(more) {
    const one = await openPage(browser, program.address, more);
    await settled(one.page);
    return one;
  }

  test('space pauses, says how far behind the page is, and resumes with what was missed', async () => {
    const { page, context, troubles } = await opened();
    const shown = await figure(page, 1);
    const total = await program.totalEvents();
    await page.keyboard.press('Space');
    await page.getByText('Pausado', { exact: true }).waitFor();
    await program.sendAndWait([event(`paused-1-${Date.now()}`), event(`paused-2-${Date.now()}`)]);
    await page.getByText(/2 registros atrás/).waitFor();
    assert.equal(await figure(page, 1), shown);
    await page.keyboard.press('Space');
    const wanted = new Intl.NumberFormat('pt-BR').format(total + 2);
    await page.waitForFunction((text) => document.querySelector('[data-panel="1"] .value')?.textContent.includes(text), wanted);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('t shows the same figures as a table, which the address remembers', async () => {
    const { page, context } = await opened();
    await page.keyboard.press('t');
    await tile(page, 8).locator('.scroll table').waitFor();
    assert.equal(await page.locator('.scroll table').count(), 4);
    assert.match(page.url(), /#table=5,6,7,8$/);
    assert.equal(await tile(page, 6).locator('.scroll tbody tr').count(), 10);
    await page.reload();
    await settled(page);
    assert.equal(await page.locator('.scroll table').count(), 4);
    await page.keyboard.press('t');
    assert.equal(await page.locator('.scroll table').count(), 0);
    assert.equal(await page.locator('.heard table').count(), 4, 'a screen reader has them anyway');
    // Of one panel alone, by j to it.
    for (let step = 0; step < 6; step += 1) await page.keyboard.press('j');
    await page.keyboard.press('t');
    assert.match(page.url(), /#table=6$/);
    await context.close();
  });

  test('arrows go through the values of a chart, and show the tooltip of the pointer', async () => {
    const { page, context } = await opened();
    const chart = tile(page, 6).getByRole('slider');
    await tile(page, 6).locator('.toggle').focus();
    await page.keyboard.press('Tab');
    assert.equal(await chart.evaluate((element) => element === document.activeElement), true);
    await page.keyboard.press('ArrowDown');
    const byKey = await page.locator('.tooltip').innerText();
    assert.match(await chart.getAttribute('aria-valuetext'), /R\$/);
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.tooltip').count(), 0);
    await tile(page, 6).locator('[data-index="1"]').hover();
    assert.equal(await page.locator('.tooltip').innerText(), byKey);
    await context.close();
  });

  test('plus zooms into the time, the address has it, and 0 shows everything', async () => {
    const { page, context } = await opened();
    await tile(page, 5).getByRole('slider').focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('+');
    await page.getByText('Mostrar tudo').waitFor();
    assert.match(page.url(), /#from=[\dT:Z-]+&to=[\dT:Z-]+$/);
    await page.keyboard.press('0');
    await page.getByText('Mostrar tudo').waitFor({ state: 'detached' });
    assert.doesNotMatch(page.url(), /from=/);
    await context.close();
  });

  test('a drag zooms, and a double click shows everything', async () => {
    const { page, context } = await opened();
    const plot = await tile(page, 5).locator('.u-over').boundingBox();
    const y = plot.y + plot.height / 2;
    await page.mouse.move(plot.x + plot.width * 0.25, y);
    await page.mouse.down();
    await page.mouse.move(plot.x + plot.width * 0.75, y, { steps: 4 });
    await page.mouse.up();
    await page.getByText('Mostrar tudo').waitFor();
    await page.mouse.dblclick(plot.x + plot.width / 2, y);
    await page.getByText('Mostrar tudo').waitFor({ state: 'detached' });
    await context.close();
  });

  test('l changes the language and d the theme, and both are remembered', async () => {
    const { page, context } = await opened({ locale: 'en-US' });
    assert.equal(await page.locator('h1').innerText(), 'E-commerce live');
    assert.match(await figure(page, 3), /^R\$[\d,]+\.\d\d$/);
    await page.keyboard.press('l');
    assert.equal(await page.locator('h1').innerText(), 'E-commerce ao vivo');
    await page.keyboard.press('d');
    await page.keyboard.press('d');
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
    await page.reload();
    await settled(page);
    assert.equal(await page.locator('h1').innerText(), 'E-commerce ao vivo');
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
    await context.close();
  });

  test('? shows the keys, and esc closes them', async () => {
    const { page, context } = await opened();
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await context.close();
  });

  test('a tap shows the tooltip of the pointer', async () => {
    const { page, context } = await opened({ width: 360, height: 740, hasTouch: true, isMobile: true });
    await tile(page, 6).locator('[data-index="0"]').tap();
    assert.match(await page.locator('.tooltip').innerText(), /R\$/);
    await context.close();
  });
});
