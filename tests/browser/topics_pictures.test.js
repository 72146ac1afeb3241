// The topic browser in every state, at two widths and in both themes: pictures for eyes, and axe, which finds nothing.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertClean, openBrowser, openPage } from './browser.js';
import { order, TopicBrowser } from './topic_browser.js';

const FOLDER = process.env.DUTO_TEST_SCREENSHOTS || join(tmpdir(), 'duto-screenshots');
const SIZES = [{ width: 1280, height: 900 }, { width: 360, height: 740 }];

describe('pictures of the topic browser', () => {
  let topics;
  let browser;
  let bad;

  before(async () => {
    mkdirSync(FOLDER, { recursive: true });
    topics = await TopicBrowser.create('pictures');
    await topics.startPipeline();
    await topics.startBrowser();
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await topics?.remove();
  });

  async function take(state, { reach, leave, path = '/#topic=sales', ...more } = {}) {
    for (const size of SIZES) {
      for (const theme of ['light', 'dark']) {
        const { page, context, troubles } = await openPage(browser, topics.address, { ...size, theme, path, ...more });
        troubles.isServerGone = true;
        await page.locator('main').waitFor({ state: 'attached' });
        await page.waitForFunction(() => document.querySelector('.skeleton') === null);
        await reach?.(page);
        await page.waitForTimeout(1500);
        await page.screenshot({ path: join(FOLDER, `topics-${state}-${size.width}-${theme}.png`) });
        const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
        assert.ok(scroll <= client, `${state} at ${size.width} px is ${scroll} px wide`);
        await assertClean(page);
        assert.deepEqual(troubles.list, []);
        await context.close();
        await leave?.();
      }
    }
  }

  test('of an empty topic', () => take('empty'));

  test('of messages', async (t) => {
    topics.generate(2_000);
    await topics.sendOrders([order(9_000_001), order(9_000_002), order(9_000_001)]);
    bad = await topics.produce({ payload: '{"order_number": 9000003, "order_items": [{"qty": -1, "value_unit": 1.5}], "channel": "web"}', key: 'web', headers: [{ name: 'trace', value: '7f3a' }] });
    await topics.produce({ payload: 'not JSON', key: 'a key that is rather longer than others are' });
    await topics.produce({ payload_hex: 'ff00fe' });
    await topics.caughtUp();
    await take('messages');
    t.diagnostic(`the pictures are in ${FOLDER}`);
  });

  test('of the list of topics', () => take('list', { path: '/' }));

  test('of an open message', () =>
    take('open', { path: `/#topic=sales&open=${bad}`, reach: (page) => page.locator('[data-outcome="rejected"]').waitFor() }));

  test('of a search', () =>
    take('search', { path: '/#topic=sales&filter=9000001', reach: (page) => page.getByText('O tópico inteiro foi examinado.').waitFor() }));

  test('of a record that would be rejected', () =>
    take('produce', {
      locale: 'en-US',
      reach: async (page) => {
        await page.getByRole('button', { name: 'Produce' }).click();
        await page.getByText('sales takes this record.').waitFor();
        await page.getByRole('dialog').getByLabel('Payload').fill('{\n  "order_number": 12,\n  "order_items": [{ "qty": true }]\n}');
        await page.locator('[data-problems]').waitFor();
        await page.getByRole('button', { name: 'Send to sales' }).click();
        await page.getByRole('button', { name: 'Send anyway' }).waitFor();
      },
    }));

  test('of the keys', () =>
    take('keys', {
      reach: async (page) => {
        await page.keyboard.press('?');
        await page.getByRole('dialog').waitFor();
      },
    }));

  test('of a database that is away', async () => {
    await topics.kill('browser');
    await topics.startBrowser({ databaseUrl: 'postgres://nobody@127.0.0.1:9/none' });
    await take('away', { reach: (page) => page.locator('[data-row]').first().getByText('banco fora do ar').waitFor() });
    await topics.kill('browser');
    await topics.startBrowser();
  });

  test('of a server that is away', () =>
    take('outage', {
      reach: async (page) => {
        await topics.kill('browser');
        await page.getByRole('alert').waitFor();
      },
      leave: () => topics.startBrowser(),
    }));
});
