// The topic browser: its topics, their messages and what became of them, searching, following, and sending by hand.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openBrowser, openPage } from './browser.js';
import { until } from './program.js';
import { order, TopicBrowser } from './topic_browser.js';

const rows = (page) => page.locator('[data-row]');
const opened = (page) => page.locator('[data-opened]');

describe('the topic browser', () => {
  let topics;
  let browser;
  let needle;

  before(async () => {
    topics = await TopicBrowser.create('browser');
    await topics.startPipeline();
    await topics.startBrowser();
    // The oldest message, for the search to find.
    needle = await topics.produce({ key: 'needle', payload: JSON.stringify(order(9_000_000)), headers: [{ name: 'trace', value: 'abc' }] });
    topics.generate(200_000);
    await topics.sendOrders([order(9_000_001), order(9_000_002)]);
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    await topics?.remove();
  });

  async function open(more) {
    const one = await openPage(browser, topics.address, more);
    await rows(one.page).first().waitFor();
    return one;
  }

  test('shows the topic with its size and lag, and its newest messages with what became of them', async () => {
    await topics.caughtUp();
    const { page, context, troubles } = await open();
    assert.equal(await page.title(), 'sales · Tópicos · duto');
    assert.match(await page.locator('[data-topic="sales"]').innerText(), /200\.003 mensagens[\s\S]*sales[\s\S]*atraso 0/);
    assert.equal(await rows(page).count(), 100);
    await rows(page).first().getByText('gravada').waitFor();
    const first = await rows(page).first().innerText();
    assert.match(first, /\d\d:\d\d:\d\d[\s\S]*\d:\d+[\s\S]*sem chave[\s\S]*"order_number":9000002/);
    await page.getByRole('button', { name: 'Mensagens mais antigas' }).click();
    await page.getByRole('button', { name: 'Para as mais novas' }).waitFor();
    assert.match(page.url(), /before=0:\d+,1:\d+,2:\d+,3:\d+/);
    await page.goBack();
    await page.getByText('9000002').waitFor();
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('finds a key far back, shows its progress, and opens what it found', async () => {
    const { page, context, troubles } = await open();
    const told = [];
    await page.exposeFunction('tell', (scanned, remaining) => told.push([Number(scanned), Number(remaining)]));
    await page.evaluate(() => {
      new MutationObserver(() => {
        const [scanned, remaining] = ['scanned', 'remaining'].map((name) => document.querySelector(`[data-${name}]`)?.dataset[name]);
        if (scanned !== undefined) globalThis.tell(scanned, remaining);
      }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-scanned'] });
    });
    await page.keyboard.press('/');
    await page.keyboard.type('key:needle');
    await page.getByText('O tópico inteiro foi examinado.').waitFor();
    assert.equal(await rows(page).count(), 1);
    assert.match(await rows(page).first().innerText(), /needle/);
    assert.match(await page.getByRole('status').innerText(), /1 encontrada\s+200\.003 examinadas\s+0 restantes/);
    assert.ok(told.some(([scanned, remaining]) => scanned > 0 && remaining > 0), `no progress was shown: ${JSON.stringify(told)}`);
    await page.keyboard.press('Enter');
    await rows(page).first().click();
    await opened(page).getByRole('heading', { name: `Mensagem ${needle}` }).waitFor();
    assert.match(await opened(page).innerText(), /needle[\s\S]*trace[\s\S]*abc/);
    assert.match(await opened(page).locator('[data-payload]').innerText(), /\{\n {2}"order_number": 9000000,\n {2}"order_items": \[/);
    // A colleague gets the same by the address alone.
    assert.match(page.url(), new RegExp(`#topic=sales&filter=key:needle&open=${needle}$`));
    const { page: other, context: elsewhere } = await openPage(browser, topics.address, { path: `/${new URL(page.url()).hash}` });
    await opened(other).getByRole('heading', { name: `Mensagem ${needle}` }).waitFor();
    await elsewhere.close();
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('goes to an offset and to a time', async () => {
    const { page, context } = await open();
    const goTo = page.getByLabel('Ir para');
    await goTo.fill('2:40');
    await goTo.press('Enter');
    await page.locator('[data-row="2:40"]').waitFor();
    assert.equal(await rows(page).first().getAttribute('data-row'), '2:40');
    await goTo.fill('2001-02-03 04:05');
    await goTo.press('Enter');
    await page.getByText('Não há nada antes deste lugar.').waitFor();
    await goTo.fill('tomorrow');
    await goTo.press('Enter');
    await page.getByRole('alert').getByText('não é um lugar').waitFor();
    await context.close();
  });

  test('follows new messages, and space stays', async () => {
    const { page, context, troubles } = await open();
    await page.keyboard.press(' ');
    await page.getByRole('button', { name: 'Acompanhando' }).waitFor();
    await topics.sendOrders([order(9_100_001)]);
    await page.getByText('9100001').waitFor();
    assert.match(await rows(page).first().innerText(), /9100001/);
    await rows(page).first().getByText('gravada').waitFor();
    await page.keyboard.press(' ');
    await page.getByRole('button', { name: 'Acompanhar' }).waitFor();
    await topics.sendOrders([order(9_100_002)]);
    await page.getByRole('button', { name: 'Mostrar 1 mensagem mais nova' }).click();
    await page.getByText('9100002').waitFor();
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('sends a record by hand: the example, a problem shown, mended, sent and seen as stored', async () => {
    const { page, context, troubles } = await open();
    await page.keyboard.press('n');
    const dialog = page.getByRole('dialog');
    const payload = dialog.getByLabel('Conteúdo');
    await dialog.getByText('sales aceita este registro.').waitFor();
    assert.match(await payload.inputValue(), /^\{\n {2}"order_number": \d+,\n {2}"order_items": \[\n/);
    await payload.fill('{"order_items": [{"qty": true, "value_unit": 1.0}]}');
    await dialog.getByText('order_number is missing').waitFor();
    await dialog.getByText('order_items[0].qty must be an integer, got true').waitFor();
    // Its refusal is what a 422 looks like on the console.
    troubles.isServerGone = true;
    await dialog.getByRole('button', { name: 'Enviar a sales' }).click();
    await dialog.getByRole('button', { name: 'Enviar mesmo assim' }).waitFor();
    await payload.fill(JSON.stringify(order(9_200_001)));
    await dialog.getByText('sales aceita este registro.').waitFor();
    await dialog.getByRole('textbox', { name: 'Chave' }).fill('by-hand');
    await dialog.getByRole('button', { name: 'Adicionar cabeçalho' }).click();
    await dialog.getByLabel('Nome').fill('trace');
    await dialog.getByLabel('Valor').fill('xyz');
    await dialog.getByRole('button', { name: 'Enviar a sales' }).click();
    await opened(page).locator('[data-outcome="stored"]').waitFor();
    assert.match(await opened(page).innerText(), /by-hand[\s\S]*xyz[\s\S]*9200001/);
    const [{ total }] = await topics.query('SELECT total_value AS total FROM sales WHERE order_number = 9200001');
    assert.equal(total, '200.50');

    // Again: the same key, headers and payload, which is a duplicate.
    await opened(page).getByRole('button', { name: 'Enviar de novo' }).click();
    await dialog.getByText('sales aceita este registro.').waitFor();
    assert.equal(await dialog.getByRole('textbox', { name: 'Chave' }).inputValue(), 'by-hand');
    assert.equal(await dialog.getByLabel('Valor').inputValue(), 'xyz');
    // Sent before the pause in the typing after which it is looked at: by then the dialog is gone.
    await payload.fill(JSON.stringify(order(9_200_001)));
    await dialog.getByRole('button', { name: 'Enviar a sales' }).click();
    await opened(page).locator('[data-outcome="duplicate"]').waitFor();
    await page.waitForTimeout(400);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('sends a bad record when that is meant, and shows why it was rejected', async () => {
    const { page, context, troubles } = await open();
    troubles.isServerGone = true;
    await page.keyboard.press('n');
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Conteúdo').fill('not JSON');
    await dialog.locator('[data-problems]').waitFor();
    await dialog.getByRole('button', { name: 'Enviar a sales' }).click();
    await dialog.getByRole('button', { name: 'Enviar mesmo assim' }).click();
    const verdict = opened(page).locator('[data-outcome="rejected"]');
    await verdict.waitFor();
    assert.match(await verdict.innerText(), /rejeitada[\s\S]*decode/);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('shows bytes that are no text, cuts what is long, and saves all of it', async () => {
    const binary = await topics.produce({ payload_hex: 'ff00fe', key: null });
    const long = `{"order_number": 9300001, "order_items": [], "note": "${'x'.repeat(700_000)}"}`;
    const large = await topics.produce({ payload: long });
    const { page, context } = await open({ path: `/#topic=sales&open=${binary}` });
    await opened(page).getByText('Estes bytes não são UTF-8').waitFor();
    assert.equal((await opened(page).locator('[data-payload]').innerText()).trim(), 'ff00fe');
    await page.locator(`[data-row="${large}"]`).click();
    await opened(page).getByText('São mostrados os primeiros').waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), opened(page).getByText('Salvar tudo').click()]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString(), long);
    await context.close();
  });

  test('is all there by keyboard', async () => {
    const { page, context } = await open();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    const second = await rows(page).nth(1).getAttribute('data-row');
    assert.equal(await page.evaluate(() => document.activeElement?.dataset.row), second);
    await page.keyboard.press('Enter');
    await opened(page).waitFor();
    await page.keyboard.press('k');
    await opened(page).getByRole('heading', { name: `Mensagem ${await rows(page).first().getAttribute('data-row')}` }).waitFor();
    await page.keyboard.press('Escape');
    await opened(page).waitFor({ state: 'detached' });
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('Produzir uma mensagem').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('l');
    await page.getByRole('button', { name: 'Follow' }).waitFor();
    await context.close();
  });

  test('heals by itself when its server was away', async () => {
    const { page, context, troubles } = await open();
    troubles.isServerGone = true;
    await topics.kill('browser');
    await page.getByRole('alert').getByText('O servidor não responde').waitFor();
    await topics.startBrowser();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('shows messages though the database is away', async () => {
    await topics.kill('browser');
    await topics.startBrowser({ databaseUrl: 'postgres://nobody@127.0.0.1:9/none' });
    const { page, context } = await open();
    await page.locator('[data-topic="sales"]').getByText('banco fora do ar').waitFor();
    await until('the rows to say so', async () => (await rows(page).first().innerText()).includes('banco fora do ar'));
    await context.close();
    await topics.kill('browser');
    await topics.startBrowser();
  });
});
