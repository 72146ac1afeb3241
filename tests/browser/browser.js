// Debian's Chromium, and pages that remember what went wrong on them.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export async function openBrowser() {
  const named = process.env.CHROMIUM;
  const executablePath = named || CANDIDATES.find((path) => existsSync(path));
  if (!executablePath || !existsSync(executablePath)) {
    throw new Error(`there is no Chromium at ${named || CANDIDATES.join(' or ')}: apt-get install chromium, or set CHROMIUM`);
  }
  // The sandbox of Chromium does not start as root, which containers are.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/**
 * Opens a page on the program. `troubles` gathers what a good page never has: errors on the console, exceptions, and requests to another
 * host. While the server is meant to be gone, `troubles.isServerGone` lets failed requests pass.
 */
export async function openPage(browser, address, { width = 1280, height = 900, theme = 'light', locale = 'pt-BR', path = '/', ...more } = {}) {
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: theme, locale, timezoneId: 'America/Sao_Paulo', ...more,
  });
  const page = await context.newPage();
  const troubles = { list: [], isServerGone: false };
  page.on('console', (message) => {
    const isNetwork = message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !(troubles.isServerGone && isNetwork)) troubles.list.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => troubles.list.push(`exception: ${error.stack ?? error}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== address && !['data:', 'blob:'].includes(url.protocol)) troubles.list.push(`request to ${url.origin}`);
  });
  await page.goto(address + path);
  return { page, context, troubles };
}

/** The tile of the panel at this place in the file, from 1. */
export function tile(page, number) {
  return page.locator(`[data-panel="${number}"]`);
}

/** The large figure of a card, with ordinary spaces. */
export async function figure(page, number) {
  return (await tile(page, number).locator('.value').first().innerText()).replace(/\s/g, ' ').trim();
}

/** Waits until every panel shows what it has. */
export async function settled(page) {
  await page.waitForFunction(() => document.querySelectorAll('[data-panel]').length > 0 && document.querySelectorAll('.skeleton').length === 0);
  await page.waitForFunction(() => document.querySelector('.beat')?.classList.contains('live'));
}

/** axe finds nothing on the page as it is. */
export async function assertClean(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((node) => `  ${node.target} ${node.failureSummary}`).join('\n')}`);
  assert.deepEqual(told, []);
}
