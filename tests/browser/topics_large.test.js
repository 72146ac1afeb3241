// A topic of many messages, on both logs: it opens at once, and a key at its very beginning is found. With DUTO_FAULTS_FULL it has five
// million; the times are told, for a person to judge.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openBrowser, openPage } from './browser.js';
import { needed } from './program.js';
import { order, TopicBrowser } from './topic_browser.js';

const MESSAGES = process.env.DUTO_FAULTS_FULL ? 5_000_000 : 100_000;
const FIND_LIMIT_MS = 120_000;
const SIZES = [
  { width: 1280, height: 800, theme: 'light' },
  { width: 360, height: 740, theme: 'dark' },
];

let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

for (const log of ['Kafka', 'the embedded log']) {
  describe(`a topic of ${MESSAGES.toLocaleString('en')} messages on ${log}`, () => {
    let topics;

    before(async () => {
      topics = await TopicBrowser.create('large', log === 'Kafka' ? needed('DUTO_TEST_KAFKA', 'a Kafka broker') : '');
      // Makes the topic, and one message by which it is known.
      topics.generate(1);
      await topics.startBrowser();
      await topics.produce({ key: 'needle', payload: JSON.stringify(order(9_000_000)) });
      topics.generate(MESSAGES);
    });

    after(() => topics?.remove());

    for (const size of SIZES) {
      test(`opens at ${size.width} px, ${size.theme}`, async (t) => {
        const { page, context, troubles } = await openPage(browser, topics.address, { ...size, path: `/#topic=${topics.topic}` });
        await page.addInitScript(noteFirstRow);
        await page.reload();
        await page.locator('[data-row]').first().waitFor();
        const shown = await page.waitForFunction(() => globalThis.firstRowAt);
        t.diagnostic(`its first messages were painted ${Math.round(await shown.jsonValue())} ms after the navigation`);
        assert.equal(await page.locator('[data-row]').count(), 100);
        await page.getByText((MESSAGES + 2).toLocaleString('pt-BR')).first().waitFor({ state: 'attached' });
        assert.deepEqual(troubles.list, []);
        await context.close();
      });
    }

    test('finds a key at its beginning, with progress shown', async (t) => {
      const { page, context, troubles } = await openPage(browser, topics.address, { path: `/#topic=${topics.topic}` });
      await page.locator('[data-row]').first().waitFor();
      const remaining = [];
      await page.exposeFunction('tell', (messages) => remaining.push(Number(messages)));
      await page.evaluate(() => {
        new MutationObserver(() => {
          const shown = document.querySelector('[data-remaining]');
          if (shown) globalThis.tell(shown.dataset.remaining);
        }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-remaining'] });
      });
      await page.keyboard.press('/');
      await page.keyboard.type('key:needle');
      const began = Date.now();
      // A search stops politely every so often, and goes on when it is asked to.
      const whole = page.getByText('O tópico inteiro foi examinado.');
      const goOn = page.getByRole('button', { name: 'Continuar' });
      while (!(await whole.isVisible())) {
        await whole.or(goOn).first().waitFor({ timeout: FIND_LIMIT_MS });
        if (await goOn.isVisible()) await goOn.click();
      }
      t.diagnostic(`searched through in ${Date.now() - began} ms, ${new Set(remaining).size} figures of progress`);
      assert.equal(await page.locator('[data-row]').count(), 1);
      assert.match(await page.locator('[data-row]').innerText(), /needle/);
      assert.ok(remaining.some((messages) => messages > 0 && messages < MESSAGES), `no progress was shown: ${remaining.slice(0, 9)}`);
      assert.deepEqual(troubles.list, []);
      await context.close();
    });
  });
}

/** In the page: `firstRowAt` is when the first message was painted, in ms since the navigation. */
function noteFirstRow() {
  const observer = new MutationObserver(() => {
    if (!document.querySelector('[data-row]')) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => {
      globalThis.firstRowAt = performance.now();
    }));
  });
  observer.observe(document, { subtree: true, childList: true });
}
