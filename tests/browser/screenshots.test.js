// Pictures of every state at two widths and in both themes, into DUTO_TEST_SCREENSHOTS, for eyes.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openBrowser, openPage, settled, tile } from './browser.js';
import { Program, ROOT } from './program.js';
import { dayOfEvents, event } from './records.js';

const FOLDER = process.env.DUTO_TEST_SCREENSHOTS || join(tmpdir(), 'duto-screenshots');
const SIZES = [{ width: 1280, height: 900 }, { width: 360, height: 740 }];

describe('screenshots', () => {
  let program;
  let browser;

  before(async () => {
    mkdirSync(FOLDER, { recursive: true });
    program = await Program.create('screenshots');
    await program.start();
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await program?.remove();
  });

  /** A picture of each width and theme, once `reach` has brought the page to its state; `leave` undoes what it did. */
  async function take(state, { reach, leave, fullPage = true, ...more } = {}) {
    for (const size of SIZES) {
      for (const theme of ['light', 'dark']) {
        const { page, context } = await openPage(browser, program.address, { ...size, theme, ...more });
        await settled(page);
        await reach?.(page);
        await page.waitForTimeout(700);
        await page.screenshot({ path: join(FOLDER, `${state}-${size.width}-${theme}.png`), fullPage });
        const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
        assert.ok(scroll <= client, `${state} at ${size.width} px is ${scroll} px wide`);
        await context.close();
        await leave?.();
      }
    }
  }

  test('of an empty page', () => take('empty'));

  test('of a page with figures', async (t) => {
    await program.sendAndWait(dayOfEvents());
    await take('loaded');
    t.diagnostic(`the pictures are in ${FOLDER}`);
  });

  test('of a page in English', () => take('english', { locale: 'en-US' }));

  test('of the README', async () => {
    // `UPDATE_PICTURES=1` puts them where README.md shows them.
    const folder = process.env.UPDATE_PICTURES ? join(ROOT, 'docs/pictures') : FOLDER;
    for (const theme of ['light', 'dark']) {
      const { page, context } = await openPage(browser, program.address, { width: 1280, height: 780, theme, locale: 'en-US' });
      await settled(page);
      await page.waitForTimeout(700);
      await page.screenshot({ path: join(folder, `ecommerce-${theme}.png`) });
      await context.close();
    }
  });

  test('of tables', () => take('tables', { path: '/#table=5,6,7,8' }));

  test('of a tooltip', () =>
    take('tooltip', {
      fullPage: false,
      reach: async (page) => {
        await tile(page, 5).locator('.u-over').hover();
        await page.locator('.tooltip').waitFor();
      },
    }));

  test('of a paused page', () =>
    take('paused', {
      reach: async (page) => {
        await page.keyboard.press('Space');
        await program.send([event(`paused-${Date.now()}`)]);
        await page.waitForTimeout(1500);
      },
    }));

  test('of a figure that cannot be read', () =>
    take('failed', {
      reach: async (page) => {
        await program.query('ALTER VIEW top_products RENAME TO top_products_away');
        await program.send([event(`failed-${Date.now()}`, 'purchase')]);
        await tile(page, 6).locator('.failure').waitFor();
      },
      leave: () => program.query('ALTER VIEW top_products_away RENAME TO top_products'),
    }));

  test('of an outage', () =>
    take('outage', {
      reach: async (page) => {
        await program.kill();
        await page.getByRole('alert').waitFor();
        await page.waitForTimeout(2500);
      },
      leave: () => program.start(),
    }));
});
