// A guarded page: a person signs in with a key, sees the figures, and leaves again; nobody else sees anything.

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertClean, figure, openBrowser, openPage, settled } from './browser.js';
import { Program, until } from './program.js';

const FOLDER = process.env.DUTO_TEST_SCREENSHOTS || join(tmpdir(), 'duto-screenshots');
const KEYS = { reader: 'a key that only reads', sender: 'a key that only sends' };
const SECRET = 'what both sides know, and nobody else';
const hash = (key) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const GUARDED = {
  ready: '/readyz',
  text: `
pipeline: guarded
source: { topic: readings, partitions: 1 }
database: { url: "\${DATABASE_URL}" }
auth:
  keys:
    reader: { hash: "${hash(KEYS.reader)}", roles: [read] }
    sender: { hash: "${hash(KEYS.sender)}", roles: [ingest] }
  secret: "${SECRET}"
  audience: readings
  roles: [read]
record: { id: BIGINT }
tables:
  readings:
    columns: { id: BIGINT PRIMARY KEY }
    repeat: ignore
    select: SELECT id FROM record
endpoints:
  GET /api/readings: { row: SELECT count(*) AS readings FROM readings }
ingest:
  POST /readings: {}
dashboard:
  title: Readings
  locale: en-US
  panels:
    - { kind: number, title: Readings, from: /api/readings, value: readings, format: integer }
`,
};

/** A token (JWT) that is signed by the secret. */
function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

describe('a guarded page', () => {
  let program;
  let browser;

  before(async () => {
    program = await Program.create('sign_in', GUARDED);
    await program.start();
    browser = await openBrowser();
    const sent = await fetch(`${program.address}/readings`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.sender}`, 'content-type': 'application/json' },
      body: '{"id": 1}',
    });
    assert.equal(sent.status, 202);
    await until('the reading to be stored', async () => {
      const response = await fetch(`${program.address}/api/readings`, { headers: { authorization: `Bearer ${KEYS.reader}` } });
      return response.ok && (await response.json()).readings === 1;
    });
  });

  after(async () => {
    await browser?.close();
    await program?.remove();
  });

  async function signIn(page, key) {
    await page.getByLabel('Key or token').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }

  // A browser tells of the 401 that the form comes with.
  const beside401 = (troubles) => troubles.list.filter((trouble) => !trouble.includes('401'));

  test('asks for a key, shows the figures to its holder, and forgets it', async () => {
    const { page, context, troubles } = await openPage(browser, program.address, { locale: 'en-US' });
    await signIn(page, 'a guess');
    await page.getByRole('alert').waitFor();
    assert.match(await page.getByRole('alert').innerText(), /not accepted/);
    // Who only sends has nothing to look at.
    await signIn(page, KEYS.sender);
    await page.getByRole('alert').waitFor();
    await signIn(page, KEYS.reader);
    await settled(page);
    assert.match(await figure(page, 1), /1/);
    const cookies = await context.cookies();
    assert.deepEqual(cookies.map((cookie) => [cookie.httpOnly, cookie.sameSite]), [[true, 'Lax']]);
    assert.equal(await page.evaluate(() => document.cookie), '');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Key or token').waitFor();
    assert.deepEqual(await context.cookies(), []);
    assert.deepEqual(beside401(troubles), []);
    await context.close();
  });

  test('lets a person in by a token that is meant for it', async () => {
    const { page, context, troubles } = await openPage(browser, program.address, { locale: 'en-US' });
    const exp = Math.floor(Date.now() / 1000) + 600;
    for (const wrong of [{ aud: 'another', exp }, { aud: 'readings', exp: exp - 3600 }]) {
      await signIn(page, token({ sub: 'ana', ...wrong }));
      await page.getByRole('alert').waitFor();
    }
    await signIn(page, token({ sub: 'ana', aud: 'readings', exp }));
    await settled(page);
    assert.match(await figure(page, 1), /1/);
    assert.deepEqual(beside401(troubles), []);
    await context.close();
  });

  test('leads to the form when the session is over, and back to where one was', async () => {
    const { page, context } = await openPage(browser, program.address, { locale: 'en-US', path: '/docs' });
    await signIn(page, KEYS.reader);
    await page.waitForURL(`${program.address}/docs`);
    await page.locator('.swagger-ui').first().waitFor();
    await page.goto(program.address);
    await settled(page);
    await context.clearCookies();
    await page.reload();
    await page.getByLabel('Key or token').waitFor();
    await context.close();
  });

  test('does nothing for another page that uses the cookie', async () => {
    const { page, context } = await openPage(browser, program.address, { locale: 'en-US' });
    await signIn(page, KEYS.reader);
    await settled(page);
    const [cookie] = await context.cookies();
    const headers = { cookie: `${cookie.name}=${cookie.value}`, origin: 'https://evil.example' };
    const foreign = await fetch(`${program.address}/duto/sign-out`, { method: 'POST', headers, redirect: 'manual' });
    assert.equal(foreign.status, 403);
    const nowhere = await fetch(`${program.address}/duto/sign-in`, {
      method: 'POST',
      body: new URLSearchParams({ key: KEYS.reader, next: '//evil.example/' }),
      redirect: 'manual',
    });
    assert.equal(nowhere.headers.get('location'), '/');
    await context.close();
  });

  test('is clean on a phone and a desk, in light and dark, in both languages', async () => {
    mkdirSync(FOLDER, { recursive: true });
    for (const size of [{ width: 1280, height: 700 }, { width: 360, height: 640 }]) {
      for (const theme of ['light', 'dark']) {
        const { page, context } = await openPage(browser, program.address, { ...size, theme, locale: theme === 'dark' ? 'pt-BR' : 'en-US' });
        await page.locator('#key').waitFor();
        await page.screenshot({ path: join(FOLDER, `sign-in-${size.width}-${theme}.png`), fullPage: true });
        await assertClean(page);
        await context.close();
      }
    }
  });
});
