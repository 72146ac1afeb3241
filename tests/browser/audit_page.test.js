// The page of the audit trail: what was done by hand, for those who operate the pipeline, as the commands left it.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertClean, openBrowser, openPage, settled } from './browser.js';
import { Program, until } from './program.js';

const FOLDER = process.env.DUTO_TEST_SCREENSHOTS || join(tmpdir(), 'duto-screenshots');
const SIZES = [{ width: 1280, height: 900 }, { width: 360, height: 740 }];
const KEYS = { operator: 'a key that operates', reader: 'a key that only reads', sender: 'a key that only sends' };
const hash = (key) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const AUDITED = {
  ready: '/readyz',
  text: `
pipeline: audited
source: { topic: orders, partitions: 1 }
database: { url: "\${DATABASE_URL}" }
auth:
  keys:
    operator: { hash: "${hash(KEYS.operator)}", roles: [read, operate] }
    reader: { hash: "${hash(KEYS.reader)}", roles: [read] }
    sender: { hash: "${hash(KEYS.sender)}", roles: [ingest] }
record: { id: BIGINT, price: BIGINT }
tables:
  orders:
    columns: { id: BIGINT PRIMARY KEY, price: BIGINT }
    repeat: ignore
    select: SELECT id, price FROM record
endpoints:
  GET /api/orders: { row: SELECT count(*) AS orders FROM orders }
ingest:
  POST /orders: {}
dashboard:
  title: Orders
  locale: en-US
  panels:
    - { kind: number, title: Orders, from: /api/orders, value: orders, format: integer }
`,
};
const PATH = '/duto/audit';

const rows = (page) => page.locator('[data-entry]');

describe('the audit trail', () => {
  let program;
  let browser;
  let cookies;

  before(async () => {
    mkdirSync(FOLDER, { recursive: true });
    program = await Program.create('audit', AUDITED);
    await program.start();
    browser = await openBrowser();
    cookies = { operator: await signedIn(KEYS.operator), reader: await signedIn(KEYS.reader) };
  });

  after(async () => {
    await browser?.close();
    await program?.remove();
  });

  /** The cookie that the form to sign in gives to the holder of a key. */
  async function signedIn(key) {
    const response = await fetch(`${program.address}/duto/sign-in`, { method: 'POST', body: new URLSearchParams({ key, next: '/' }), redirect: 'manual' });
    assert.equal(response.status, 303);
    const [pair] = response.headers.get('set-cookie').split(';');
    const at = pair.indexOf('=');
    return { name: pair.slice(0, at), value: pair.slice(at + 1) };
  }

  function open({ as = 'operator', path = PATH, ...more } = {}) {
    return openPage(browser, program.address, { path, storageState: { cookies: [stored(cookies[as])], origins: [] }, ...more });
  }

  const stored = ({ name, value }) => ({ name, value, domain: '127.0.0.1', path: '/', expires: -1, httpOnly: true, secure: false, sameSite: 'Lax' });

  async function entries(parameters = '') {
    const response = await fetch(`${program.address}${PATH}/entries${parameters}`, { headers: { authorization: `Bearer ${KEYS.operator}` } });
    assert.equal(response.status, 200);
    return response.json();
  }

  /** As when one comes back to the page: it asks at once. */
  const comeBack = (page) => page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));

  const inLog = (...command) => program.command(...command, '--log-folder', join(program.folder, 'log'));

  /** Pictures and axe of a state, at two widths and in both themes. */
  async function take(state, { reach, ...more } = {}) {
    for (const size of SIZES) {
      for (const theme of ['light', 'dark']) {
        const { page, context, troubles } = await open({ ...size, theme, locale: theme === 'dark' ? 'pt-BR' : 'en-US', ...more });
        troubles.isServerGone = true;
        await reach?.(page);
        await page.screenshot({ path: join(FOLDER, `audit-${state}-${size.width}-${theme}.png`) });
        const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
        assert.ok(scroll <= client, `${state} at ${size.width} px is ${scroll} px wide`);
        await assertClean(page);
        await context.close();
      }
    }
  }

  test('says what will be here while there is nothing', async () => {
    const { page, context, troubles } = await open();
    await page.getByText('Ainda não há entradas').waitFor();
    assert.equal(await page.title(), 'audited · Trilha de auditoria · duto');
    assert.match(await page.locator('main').innerText(), /posições movidas[\s\S]*duto audit ARQUIVO/);
    assert.deepEqual(troubles.list, []);
    await context.close();
    await take('empty', { reach: (page) => page.locator('.nothing').waitFor() });
  });

  test('shows by itself what is done by hand: who, when, what and why', async () => {
    const { page, context, troubles } = await open();
    await page.getByText('Ainda não há entradas').waitFor();
    // What the table refuses alone is seen by the load only.
    await program.query('ALTER TABLE orders ADD CONSTRAINT cheap CHECK (price < 100)');
    const orders = [{ id: 1, price: 5 }, { id: 2, price: 500 }, { id: 3, price: 600 }];
    const sent = await fetch(`${program.address}/orders`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.sender}`, 'content-type': 'application/x-ndjson' },
      body: orders.map((order) => JSON.stringify(order)).join('\n'),
    });
    assert.equal(sent.status, 202);
    await until('the rejects', async () => (await program.query('SELECT id FROM duto.reject')).length === 2);
    const file = program.pipeline.file;
    const [{ id }] = await program.query('SELECT id FROM duto.reject ORDER BY id LIMIT 1');
    await program.command('rejects', 'discard', file, '--id', String(id), '--why', 'um pedido de teste, combinado com João');
    await program.query('ALTER TABLE orders DROP CONSTRAINT cheap');
    await inLog('rejects', 'replay', file, '--why', 'the price list was mended');
    await inLog('position', 'set', file, '--partition', '0', '--to', 'earliest', '--yes');
    const refused = await fetch(`${program.address}/metrics`, { headers: { authorization: 'Bearer guessed' } });
    assert.equal(refused.status, 401);
    await until('four entries', async () => (await entries()).entries.length === 4);

    await rows(page).nth(3).waitFor();
    const kept = (await entries()).entries;
    const texts = await rows(page).allInnerTexts();
    const lines = texts.map((text) => text.split(/\s*[\n\t]\s*/).filter(Boolean));
    const when = new Intl.DateTimeFormat('pt-BR', {
      year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: 'America/Sao_Paulo',
    });
    assert.deepEqual(lines.map((line) => line[0]), kept.map(({ at }) => when.format(new Date(at))));
    const of = (action) => lines[kept.findIndex((entry) => entry.action === action)].slice(1);
    const what = (action) => kept.find((entry) => entry.action === action).what;
    const me = `${userInfo().username}@${hostname()}`;
    assert.deepEqual(of('discard'), [me, 'por comando', 'Descarte', what('discard'), 'um pedido de teste, combinado com João']);
    assert.deepEqual(of('replay'), [me, 'por comando', 'Reprocessamento', what('replay'), 'the price list was mended']);
    assert.deepEqual(of('move_position'), [me, 'por comando', 'Posição movida', what('move_position'), '–', 'sem motivo informado']);
    assert.deepEqual(of('sign_in_refused').slice(0, 3), ['127.0.0.1', 'por HTTP', 'Acesso recusado']);

    await page.locator('time').first().hover();
    const tooltip = page.locator('.tooltip');
    await tooltip.waitFor();
    assert.ok((await tooltip.innerText()).includes(kept[0].at), await tooltip.innerText());
    assert.match(await page.locator('.as-of').innerText(), /^Em \d\d:\d\d:\d\d\. As horas são do fuso America\/Sao_Paulo\.$/);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('is clean on a phone and a desk, in light and dark, in both languages', async (t) => {
    await take('entries', {
      reach: async (page) => {
        await rows(page).first().waitFor();
        for (const key of ['j', 'j', 'j']) await page.keyboard.press(key);
        await page.locator('.tooltip').waitFor();
      },
    });
    await take('nothing-found', { path: `${PATH}#filter=nobody`, reach: (page) => page.locator('.nothing').waitFor() });
    await take('dashboard', { path: '/', reach: settled });
    await program.query('ALTER TABLE duto.audit RENAME COLUMN what TO what_away');
    await take('failed', { reach: (page) => page.getByRole('alert').waitFor() });
    await program.query('ALTER TABLE duto.audit RENAME COLUMN what_away TO what');
    t.diagnostic(`the pictures are in ${FOLDER}`);
  });

  test('goes back page by page, and filters what is loaded', async () => {
    await program.query(`INSERT INTO duto.audit (pipeline, at, actor, via, action, what, why)
      SELECT 'audited', now() - (300 - number) * interval '37 minutes', 'operator', 'http', 'send',
             'a message of 42 bytes sent to orders, partition 0, offset ' || number, CASE WHEN number % 5 = 0 THEN 'a test of the alert, repeated until the pager rang' END
      FROM generate_series(1, 246) AS number`);
    const { page, context, troubles } = await open({ locale: 'en-US' });
    const count = page.getByRole('status');
    await page.getByText('100 entries loaded').waitFor();
    assert.equal(await rows(page).count(), 100);
    await page.getByRole('button', { name: 'Older entries' }).click();
    await page.getByText('200 entries loaded').waitFor();
    // By the keys: the oldest ones, and the end is said where the button was.
    await page.getByRole('button', { name: 'Older entries' }).focus();
    await page.keyboard.press('o');
    await page.getByText('That is the first entry.').waitFor();
    assert.equal(await count.innerText(), '250 entries');
    assert.equal(await rows(page).count(), 250);
    const ids = await rows(page).evaluateAll((all) => all.map((row) => Number(row.dataset.entry)));
    assert.deepEqual(ids, (await entries('?limit=500')).entries.map(({ id }) => id));
    assert.equal(await page.evaluate(() => document.activeElement.innerText), 'That is the first entry.');

    await page.keyboard.press('/');
    await page.keyboard.type('joao TESTE');
    await page.getByText('1 of 250 entries').waitFor();
    assert.match(await rows(page).innerText(), /combinado com João/);
    await page.waitForURL(`${program.address}${PATH}#filter=joao+TESTE`);
    await page.keyboard.press('Escape');
    await page.getByLabel('Action').selectOption('Message by hand');
    await page.getByText('246 of 250 entries').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('nobody');
    await page.getByText('Nothing found').waitFor();
    await page.getByRole('button', { name: 'Show all entries' }).click();
    assert.equal(await count.innerText(), '250 entries');

    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    assert.equal(await page.evaluate(() => document.activeElement.dataset.entry), String(ids[0]));
    assert.match(await page.locator('.tooltip').innerText(), new RegExp(`Entry\\s+${ids[0]}`));
    assert.deepEqual(troubles.list, []);
    await context.close();

    // A colleague gets the same by the address alone.
    const colleague = await open({ locale: 'en-US', path: `${PATH}#action=send&filter=pager` });
    await colleague.page.getByText('20 of 100 entries loaded').waitFor();
    assert.equal(await colleague.page.getByLabel('Filter').inputValue(), 'pager');
    await colleague.context.close();
  });

  test('is for those who operate: others have neither the link nor the page', async () => {
    const operator = await open({ path: '/' });
    await settled(operator.page);
    await operator.page.getByRole('link', { name: 'Trilha de auditoria' }).click();
    await rows(operator.page).first().waitFor();
    await operator.page.getByRole('link', { name: 'audited' }).click();
    await settled(operator.page);
    assert.deepEqual(operator.troubles.list, []);
    await operator.context.close();

    const reader = await open({ as: 'reader', path: '/' });
    await settled(reader.page);
    await reader.page.getByRole('button', { name: 'Sair' }).waitFor();
    assert.equal(await reader.page.locator(`a[href="${PATH}"]`).count(), 0);
    const refused = await reader.page.request.get(program.address + PATH);
    assert.equal(refused.status(), 403);
    await reader.context.close();
  });

  test('keeps what it shows while the trail cannot be read, says why, and heals', async () => {
    const { page, context, troubles } = await open();
    await rows(page).first().waitFor();
    troubles.isServerGone = true;
    const alert = page.getByRole('alert');
    await program.query('ALTER TABLE duto.audit RENAME COLUMN what TO what_away');
    await comeBack(page);
    await alert.waitFor();
    assert.match(await alert.innerText(), /Não foi possível ler a trilha de auditoria[\s\S]*what[\s\S]*Desde \d\d:\d\d:\d\d\. O que se vê é de antes\./);
    assert.equal(await rows(page).count(), 100);
    await page.getByRole('button', { name: 'Entradas mais antigas' }).click();
    await page.getByText('Não foi possível carregar as entradas mais antigas').waitFor();
    await program.query('ALTER TABLE duto.audit RENAME COLUMN what_away TO what');
    await page.getByRole('button', { name: 'Entradas mais antigas' }).click();
    await page.getByText('200 entradas carregadas').waitFor();
    await comeBack(page);
    await alert.waitFor({ state: 'detached' });

    await program.kill();
    await comeBack(page);
    await alert.waitFor();
    assert.match(await alert.innerText(), /O servidor não responde/);
    await program.start();
    await alert.waitFor({ state: 'detached' });

    // Somebody signs in here who may only read.
    await context.addCookies([stored(cookies.reader)]);
    await comeBack(page);
    await alert.waitFor();
    assert.match(await alert.innerText(), /Você não pode ver a trilha de auditoria/);
    // It is not asked again, since each refusal would be an entry.
    const asked = [];
    page.on('request', (request) => asked.push(request.url()));
    await page.waitForTimeout(5500);
    assert.deepEqual(asked, []);
    assert.deepEqual(troubles.list, []);
    await context.close();
  });

  test('moves nothing while it loads', async () => {
    const { page, context } = await open({ path: '/openapi.json' });
    await page.addInitScript(() => {
      globalThis.shifted = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shifted += entry.value;
      }).observe({ type: 'layout-shift', buffered: true });
    });
    let answer;
    const answered = new Promise((resolve) => (answer = resolve));
    await page.route(`**${PATH}/entries`, async (route) => {
      await answered;
      await route.continue();
    });
    await page.goto(program.address + PATH);
    await page.locator('.skeleton').waitFor();
    await page.screenshot({ path: join(FOLDER, 'audit-loading-1280-light.png') });
    await assertClean(page);
    answer();
    await rows(page).first().waitFor();
    await page.waitForTimeout(300);
    const shifted = await page.evaluate(() => globalThis.shifted);
    assert.ok(shifted < 0.01, `the layout shifted by ${shifted}`);
    await context.close();
  });
});
