// The real program as a process, on a database and a log of its own: started, sent records, killed.

import { execFile, spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PATIENCE_MS = 30_000;
/** Of each pipeline that is tested: its file, what it answers as soon as its tables are there, and what takes its records. */
const PIPELINES = {
  ecommerce: { file: 'pipelines/ecommerce/pipeline.yaml', ready: '/api/metrics/summary', ingest: '/events' },
  logistics: { file: 'pipelines/logistics/pipeline.yaml', ready: '/api/pacotes/total', ingest: '/eventos' },
};

/** A variable without which nothing can be tested: a test that is not run is no test that passed. */
export function needed(name, what) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: it names ${what}; duto-test-servers and scripts/test set it`);
  return value;
}

export class Program {
  #child;
  #lines;

  /** An empty database and an empty log; nothing runs yet. The pipeline is one of those above, or `{ text, ready, ingest }` of a test's own. */
  static async create(purpose, pipeline = 'ecommerce') {
    const program = new Program();
    program.binary = needed('DUTO_TEST_DUTO', 'the program under test');
    program.serverUrl = needed('DUTO_TEST_POSTGRES', 'a PostgreSQL on which databases can be made');
    program.database = `browser_${purpose}_${process.pid}_${Date.now().toString(36)}`;
    const url = new URL(program.serverUrl);
    url.pathname = `/${program.database}`;
    program.databaseUrl = url.href;
    await query(program.serverUrl, `CREATE DATABASE ${program.database}`);
    program.folder = mkdtempSync(join(tmpdir(), 'duto-browser-'));
    program.pipeline = PIPELINES[pipeline] ?? { ...pipeline, file: join(program.folder, 'pipeline.yaml') };
    if (program.pipeline.text) writeFileSync(program.pipeline.file, program.pipeline.text);
    program.port = await freePort();
    program.address = `http://127.0.0.1:${program.port}`;
    return program;
  }

  /** The environment of the program and of its commands: the embedded log, whatever Kafka the test run has. */
  get environment() {
    return { ...process.env, DATABASE_URL: this.databaseUrl, TIMESCALE_DATABASE_URL: '', KAFKA_BOOTSTRAP_SERVERS: '' };
  }

  /** Runs the pipeline, at the same address each time, and waits until it answers. */
  async start() {
    this.#lines = createWriteStream(join(this.folder, 'program.log'), { flags: 'a' });
    const parameters = ['run', this.pipeline.file, '--listen', `127.0.0.1:${this.port}`, '--log-folder', join(this.folder, 'log')];
    this.#child = spawn(this.binary, parameters, {
      cwd: ROOT,
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout.pipe(this.#lines, { end: false });
    this.#child.stderr.pipe(this.#lines, { end: false });
    await until('the program to be ready', async () => {
      if (this.#child.exitCode !== null) throw new Error(`the program ended with ${this.#child.exitCode}:\n${this.tail()}`);
      // The tables are made a moment after the program is ready.
      const response = await fetch(`${this.address}${this.pipeline.ready}`).catch(() => null);
      return response?.ok;
    });
  }

  /** SIGKILL: no goodbye to any page. */
  async kill() {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** Sends records, and waits until the log has them. */
  async send(records) {
    const body = records.map((record) => JSON.stringify(record)).join('\n');
    const { ingest } = this.pipeline;
    const response = await fetch(`${this.address}${ingest}`, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body });
    if (response.status !== 202) throw new Error(`POST ${ingest} answered ${response.status}: ${await response.text()}`);
  }

  async totalEvents() {
    return (await (await fetch(`${this.address}/api/metrics/summary`)).json()).total_events;
  }

  async sendAndWait(records) {
    const before = await this.totalEvents();
    await this.send(records);
    await until('the records to be stored', async () => (await this.totalEvents()) >= before + records.length);
  }

  /** Runs a command of the program's in the repository's root; answers what it printed. */
  async command(...parameters) {
    return (await promisify(execFile)(this.binary, parameters, { cwd: ROOT, env: this.environment })).stdout;
  }

  /** SQL in the program's own database. */
  query(statement) {
    return query(this.databaseUrl, statement);
  }

  tail() {
    return readFileSync(join(this.folder, 'program.log'), 'utf8').split('\n').slice(-20).join('\n');
  }

  async remove() {
    await this.kill();
    this.#lines?.end();
    rmSync(this.folder, { recursive: true, force: true });
    await query(this.serverUrl, `DROP DATABASE IF EXISTS ${this.database} WITH (FORCE)`);
  }
}

export async function query(url, statement) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Asks again and again until the answer is true. */
export async function until(what, ask, patienceMs = PATIENCE_MS) {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    if (await ask()) return;
    if (Date.now() > deadline) throw new Error(`waited ${patienceMs} ms in vain for ${what}`);
    await sleep(20);
  }
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
