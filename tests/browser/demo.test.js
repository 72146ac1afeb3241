// The demo as a person meets it: one command, one address, and from there every system; in the topic browser a product goes round.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertClean, openBrowser, openPage } from './browser.js';
import { needed, ROOT, until } from './program.js';

const OVERVIEW = 'http://127.0.0.1:8080';
const TOPICS = 'http://127.0.0.1:9030';
const PIPELINES = ['sales', 'ecommerce', 'products-api', 'products-scheduler', 'logistics'];
const PICTURES = process.env.DUTO_TEST_SCREENSHOTS || join(tmpdir(), 'duto-screenshots');
const PATIENCE_MS = 60_000;

describe('demo', () => {
  let demo;
  let folder;
  let browser;

  before(async () => {
    mkdirSync(PICTURES, { recursive: true });
    folder = mkdtempSync(join(tmpdir(), 'duto-demo-'));
    const environment = { ...process.env, KAFKA_BOOTSTRAP_SERVERS: '', DATABASE_URL: '', TIMESCALE_DATABASE_URL: '' };
    demo = spawn(needed('DUTO_TEST_DUTO', 'the program under test'), ['demo', '--folder', folder], { cwd: ROOT, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = createWriteStream(`${folder}.log`);
    demo.stdout.pipe(lines, { end: false });
    demo.stderr.pipe(lines, { end: false });
    await until('every pipeline to store records, and rejects to be there', async () => {
      if (demo.exitCode !== null) throw new Error(`the demo ended with ${demo.exitCode}:\n${tail()}`);
      const answer = await overview();
      return answer?.pipelines.every(({ stored }) => stored > 0) && answer.pipelines.some(({ rejected }) => rejected > 0);
    }, PATIENCE_MS).catch((error) => { throw new Error(`${error.message}\n${tail()}`); });
    browser = await openBrowser();
  });

  after(async () => {
    await browser?.close();
    if (demo && demo.exitCode === null) {
      const ended = new Promise((resolve) => demo.once('exit', resolve));
      demo.kill('SIGTERM');
      assert.ok([0, 130].includes(await ended), tail());
    }
    if (folder) for (const path of [folder, `${folder}.log`]) rmSync(path, { recursive: true, force: true });
  });

  const tail = () => readFileSync(`${folder}.log`, 'utf8').split('\n').slice(-30).join('\n');
  const overview = async () => (await fetch(`${OVERVIEW}/duto/overview`).catch(() => null))?.json();

  test('has one address from which every system is reached', async () => {
    const { page, context, troubles } = await openPage(browser, OVERVIEW, { locale: 'en-US' });
    for (const name of PIPELINES) await page.getByRole('heading', { name, exact: true }).waitFor();
    assert.deepEqual((await overview()).pipelines.map(({ name }) => name), PIPELINES);
    const home = page.getByRole('link', { name: 'ecommerce', exact: true });
    assert.equal(await home.getAttribute('href'), 'http://127.0.0.1:8082/');
    for (const port of [8082, 8083]) assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
    for (const port of [8000, 8010, 8081, 8082, 8083]) assert.equal((await fetch(`http://127.0.0.1:${port}/docs`)).status, 200);
    assert.match((await (await fetch('http://127.0.0.1:8010/')).json()).message, /running/);
    assert.equal(await page.getByRole('link', { name: 'Topics and messages' }).getAttribute('href'), TOPICS);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('shows its overview at two widths and in both themes, and axe finds nothing', async (t) => {
    for (const [width, height] of [[1280, 900], [360, 740]]) {
      for (const theme of ['light', 'dark']) {
        const { page, context, troubles } = await openPage(browser, OVERVIEW, { width, height, theme });
        await page.getByRole('heading', { name: 'logistics', exact: true }).waitFor();
        await page.waitForTimeout(3500);
        await assertClean(page);
        await page.screenshot({ path: join(PICTURES, `overview-${width}-${theme}.png`), fullPage: true });
        const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
        assert.ok(scroll <= client, `the overview at ${width} px is ${scroll} px wide`);
        assert.deepEqual(troubles.list, []);
        await context.close();
      }
    }
    t.diagnostic(`the pictures are in ${PICTURES}`);
  });

  test('takes a product by hand, which comes out on the other topic', async () => {
    const id = `by-hand-${Date.now().toString(36)}`;
    const product = { productId: id, productName: 'Cadeira', productDescription: 'd', price: 100.5, currency: 'BRL', stockQuantity: 50, category: 'Móveis' };
    const { page, context, troubles } = await openPage(browser, TOPICS, { path: '/#topic=cadastro-produtos' });
    await page.locator('[data-row]').first().waitFor();
    await page.keyboard.press('n');
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Conteúdo').fill(JSON.stringify(product));
    await dialog.getByText('products-scheduler aceita este registro.').waitFor();
    await dialog.getByRole('button', { name: 'Enviar a cadastro-produtos' }).click();
    await page.locator('[data-outcome="stored"]').first().waitFor();
    await context.close();
    const told = await openPage(browser, TOPICS, { path: `/#topic=produtos-persistidos&filter=${id}` });
    await told.page.getByText(id).first().waitFor({ timeout: PATIENCE_MS });
    await told.context.close();
    assert.deepEqual(troubles.list, []);
  });
});
