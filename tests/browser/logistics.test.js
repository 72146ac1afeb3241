// The page of the package tracking: the contract's example, with nothing delivered and with a delivery, from the stream and from a file.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import axe from 'axe-core';
import { figure, openBrowser, openPage, settled, tile } from './browser.js';
import { Program, until } from './program.js';

const FOLDER = process.env.DUTO_TEST_SCREENSHOTS || join(tmpdir(), 'duto-screenshots');
const [MEAN, TOTAL, PIE, TABLE] = [1, 2, 3, 4];

const event = (id_pacote, origem, destino, status_rastreamento, data_atualizacao) => ({ id_pacote, origem, destino, status_rastreamento, data_atualizacao });

/** The slices of the pie with their figures, as its legend has them. */
async function slices(page) {
  const rows = await tile(page, PIE).locator('.legend tr:not(.sum)').allInnerTexts();
  return rows.map((row) => row.split(/\s*\t\s*/).map((cell) => cell.replace(/\s+/g, ' ').trim()));
}

async function table(page) {
  const rows = await tile(page, TABLE).locator('tbody tr').allInnerTexts();
  return rows.map((row) => row.split('\t').map((cell) => cell.replace(/\s+/g, ' ').trim()));
}

describe('package tracking', () => {
  let program;
  let browser;

  before(async () => {
    mkdirSync(FOLDER, { recursive: true });
    program = await Program.create('logistics', 'logistics');
    await program.start();
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await program?.remove();
  });

  async function pictures(state) {
    for (const size of [{ width: 1280, height: 900 }, { width: 360, height: 740 }]) {
      for (const theme of ['light', 'dark']) {
        const { page, context } = await openPage(browser, program.address, { ...size, theme });
        await settled(page);
        await page.waitForTimeout(500);
        await page.screenshot({ path: join(FOLDER, `logistics-${state}-${size.width}-${theme}.png`), fullPage: true });
        const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
        assert.ok(scroll <= client, `${state} at ${size.width} px is ${scroll} px wide`);
        await page.evaluate(axe.source);
        const { violations } = await page.evaluate(() => globalThis.axe.run(document));
        assert.deepEqual(violations.map(({ id, help }) => `${id}: ${help}`), []);
        await context.close();
      }
    }
  }

  test('says so where nothing is there', async () => {
    const { page, context, troubles } = await openPage(browser, program.address);
    await settled(page);
    assert.equal(await page.title(), 'Rastreamento de pacotes ao vivo · duto');
    assert.equal(await figure(page, MEAN), 'N/A');
    assert.equal(await figure(page, TOTAL), '0');
    assert.deepEqual(troubles.list, []);
    await context.close();
    await pictures('empty');
  });

  test('is N/A where no package is delivered, and follows the stream without a reload', async (t) => {
    const { page, context, troubles } = await openPage(browser, program.address);
    await settled(page);
    await page.evaluate(() => (globalThis.isSamePage = true));
    await program.send([
      event(1333, 'Natal', 'Paraíba', 'AGUARDANDO RETIRADA', '2025-10-12T08:15:00Z'),
      event('1411', ' Acre', 'Rondônia', 'EXTRAVIADO', '2025-10-12T14:30:00Z'),
    ]);
    await page.waitForFunction(() => document.querySelector('[data-panel="2"] .value')?.textContent.trim() === '2');
    assert.equal(await figure(page, MEAN), 'N/A');
    assert.match(await tile(page, MEAN).locator('.detail').innerText(), /^0\s+pacotes entregues$/);
    const sent = Date.now();
    await program.send([event(1333, 'Natal', 'Paraíba', 'ENTREGUE', '2025-10-13T17:40:00Z')]);
    await page.waitForFunction(() => document.querySelector('[data-panel="1"] .value')?.textContent.includes('dia'), null, { polling: 10 });
    t.diagnostic(`the delivery was on the page after ${Date.now() - sent} ms`);
    assert.equal(await page.evaluate(() => globalThis.isSamePage), true);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('shows the example of the contract', async () => {
    const { page, context, troubles } = await openPage(browser, program.address);
    await settled(page);
    const titles = await page.locator('[data-panel] :is(h2, h3)').allInnerTexts();
    assert.deepEqual(titles, ['Média do Envio à Entrega', 'Total de Pacotes Únicos no Sistema', 'Distribuição de Status', 'Dados de Status']);
    assert.equal(await figure(page, MEAN), '1 dia, 09:25:00');
    assert.equal(await figure(page, TOTAL), '2');
    assert.deepEqual(await slices(page), [['ENTREGUE', '1', '50,0%'], ['EXTRAVIADO', '1', '50,0%']]);
    assert.equal(await tile(page, PIE).locator('path.slice').count(), 2);
    assert.deepEqual(await table(page), [['ENTREGUE', '1', '50%'], ['EXTRAVIADO', '1', '50%']]);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('changes nothing for the same file, and writes two days as two', async () => {
    await program.command('load', 'pipelines/logistics/pipeline.yaml', 'pipelines/logistics/eventos.csv');
    const { page, context, troubles } = await openPage(browser, program.address);
    await settled(page);
    assert.equal(await figure(page, MEAN), '1 dia, 09:25:00');
    assert.equal(await figure(page, TOTAL), '2');
    // The mean of 33:25:00 and 79:59:00 is 56:42:00.
    const file = join(mkdtempSync(join(tmpdir(), 'duto-logistics-')), 'mais.csv');
    writeFileSync(file, 'destino,origem,id_pacote,status_rastreamento,data_atualizacao\r\n"Santos, SP",Natal,7,EM TRÂNSITO,2025-10-01T00:00:00Z\r\n"Santos, SP",Natal,7,ENTREGUE,2025-10-04T07:59:00Z\r\n');
    await program.command('load', 'pipelines/logistics/pipeline.yaml', file);
    await until('the mean of two deliveries', async () => (await figure(page, MEAN)) === '2 dias, 08:42:00');
    assert.equal(await figure(page, TOTAL), '3');
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('has room for every status', async () => {
    const statuses = ['ENTREGUE', 'EM TRÂNSITO', 'EM ROTA DE ENTREGA', 'EXTRAVIADO', 'CANCELADO', 'AGUARDANDO RETIRADA'];
    const records = Array.from({ length: 400 }, (_, number) =>
      event(5000 + number, 'Natal', 'Acre', statuses[Math.floor((number / 400) ** 2 * statuses.length)], '2025-10-14T08:00:00Z'));
    await program.send(records);
    await until('the packages', async () => (await (await fetch(`${program.address}/api/pacotes/total`)).json()).total_pacotes === 403);
    const { page, context, troubles } = await openPage(browser, program.address);
    await settled(page);
    assert.equal(await tile(page, PIE).locator('path.slice').count(), 6);
    assert.equal((await table(page)).length, 6);
    assert.deepEqual(troubles.list, []);
    await context.close();
    await pictures('loaded');
  });
});
