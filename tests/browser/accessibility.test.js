// axe finds nothing, in either theme, in any state.

import { after, before, describe, test } from 'node:test';
import { assertClean, openBrowser, openPage, settled } from './browser.js';
import { Program } from './program.js';
import { dayOfEvents } from './records.js';

describe('accessibility', () => {
  let program;
  let browser;

  before(async () => {
    program = await Program.create('accessibility');
    await program.start();
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await program?.remove();
  });

  /** Each state in both themes. */
  async function both(more, reach = async () => {}) {
    for (const theme of ['light', 'dark']) {
      const { page, context, troubles } = await openPage(browser, program.address, { theme, ...more });
      await settled(page);
      troubles.isServerGone = true;
      await reach(page);
      await page.waitForTimeout(300);
      await assertClean(page);
      await context.close();
    }
  }

  test('of an empty page', () => both({}));

  test('of a page with figures', async () => {
    await program.sendAndWait(dayOfEvents());
    await both({});
  });

  test('of a phone', () => both({ width: 360, height: 740 }));

  test('of tables', () => both({ path: '/#table=5,6,7,8' }));

  test('of a paused page with its keys', () =>
    both({}, async (page) => {
      await page.keyboard.press('Space');
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
    }));

  test('of an outage', () =>
    both({}, async (page) => {
      await program.kill();
      await page.getByRole('alert').waitFor();
      await assertClean(page);
      await program.start();
      await page.getByRole('alert').waitFor({ state: 'detached' });
    }));
});
