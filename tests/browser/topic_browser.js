// A topic browser beside a running sales pipeline, on a log and a database of their own.

import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, needed, query, ROOT, until } from './program.js';

const FILE = 'pipelines/sales/pipeline.yaml';

export class TopicBrowser {
  #children = new Map();
  #lines;

  /** On the embedded log, or on a topic of the broker that is given. */
  static async create(purpose, kafka = '') {
    const one = new TopicBrowser();
    one.binary = needed('DUTO_TEST_DUTO', 'the program under test');
    one.serverUrl = needed('DUTO_TEST_POSTGRES', 'a PostgreSQL on which databases can be made');
    one.database = `topics_${purpose}_${process.pid}_${Date.now().toString(36)}`;
    const url = new URL(one.serverUrl);
    url.pathname = `/${one.database}`;
    one.databaseUrl = url.href;
    await query(one.serverUrl, `CREATE DATABASE ${one.database}`);
    one.folder = mkdtempSync(join(tmpdir(), 'duto-topics-'));
    one.log = join(one.folder, 'log');
    one.kafka = kafka;
    one.topic = kafka ? one.database : 'sales';
    one.file = kafka ? ownCopy(one.folder, one.topic) : FILE;
    one.#lines = createWriteStream(join(one.folder, 'program.log'), { flags: 'a' });
    one.pipelineAddress = `http://127.0.0.1:${await freePort()}`;
    one.address = `http://127.0.0.1:${await freePort()}`;
    return one;
  }

  /** The pipeline stores what comes. */
  async startPipeline() {
    this.#spawn('pipeline', ['run', this.file, '--listen', new URL(this.pipelineAddress).host, '--log-folder', this.log]);
    await this.#answers('pipeline', `${this.pipelineAddress}/readyz`);
  }

  async startBrowser({ databaseUrl = this.databaseUrl, files = [this.file] } = {}) {
    this.#spawn('browser', ['topics', ...files, '--listen', new URL(this.address).host, '--log-folder', this.log], databaseUrl);
    await this.#answers('browser', `${this.address}/livez`);
  }

  /** SIGKILL: no goodbye to any page. */
  async kill(name) {
    const child = this.#children.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** Orders, through the pipeline's own endpoint: as good or as bad as they are. */
  async sendOrders(orders) {
    const body = orders.map((order) => JSON.stringify(order)).join('\n');
    const response = await fetch(`${this.pipelineAddress}/orders`, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body });
    if (response.status !== 202) throw new Error(`POST /orders answered ${response.status}: ${await response.text()}`);
  }

  /** A message as it is, past every check; answers its place, `0:17`. */
  async produce(message) {
    const response = await fetch(`${this.address}/duto/topics/${this.topic}/messages`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ headers: [], anyway: true, ...message }),
    });
    const answer = await response.json();
    if (response.status !== 201) throw new Error(`producing answered ${response.status}: ${JSON.stringify(answer)}`);
    return `${answer.partition}:${answer.offset}`;
  }

  /** So many generated orders, as fast as the log takes them. */
  generate(count) {
    const parameters = ['generate', this.file, '--count', String(count), '--rate', '0', '--log-folder', this.log];
    const { status, stderr } = spawnSync(this.binary, parameters, { cwd: ROOT, env: this.#environment(this.databaseUrl), encoding: 'utf8' });
    if (status !== 0) throw new Error(`duto generate ended with ${status}: ${stderr}`);
  }

  /** Waits until the pipeline has stored or refused all that is in the log. */
  async caughtUp() {
    await until('the pipeline to catch up', async () => {
      const { topics } = await (await fetch(`${this.address}/duto/topics`)).json();
      return topics.find(({ name }) => name === this.topic)?.pipelines[0].lag === 0;
    });
  }

  query(statement) {
    return query(this.databaseUrl, statement);
  }

  async remove() {
    for (const name of this.#children.keys()) await this.kill(name);
    this.#lines?.end();
    rmSync(this.folder, { recursive: true, force: true });
    await query(this.serverUrl, `DROP DATABASE IF EXISTS ${this.database} WITH (FORCE)`);
  }

  #environment(databaseUrl) {
    return { ...process.env, DATABASE_URL: databaseUrl, KAFKA_BOOTSTRAP_SERVERS: this.kafka };
  }

  #spawn(name, parameters, databaseUrl = this.databaseUrl) {
    const child = spawn(this.binary, parameters, { cwd: ROOT, env: this.#environment(databaseUrl), stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.pipe(this.#lines, { end: false });
    child.stderr.pipe(this.#lines, { end: false });
    this.#children.set(name, child);
  }

  async #answers(name, address) {
    await until(`the ${name} to be ready`, async () => {
      const { exitCode } = this.#children.get(name);
      if (exitCode !== null) throw new Error(`the ${name} ended with ${exitCode}:\n${this.#tail()}`);
      return (await fetch(address).catch(() => null))?.ok;
    });
  }

  #tail() {
    return readFileSync(join(this.folder, 'program.log'), 'utf8').split('\n').slice(-20).join('\n');
  }
}

/** The pipeline's file with a topic and a group of its own, as others use the same broker. */
function ownCopy(folder, topic) {
  const text = readFileSync(join(ROOT, FILE), 'utf8').replace(/^( {2}topic: ).*$/m, `$1${topic}`).replace(/^( {2}group: ).*$/m, `$1${topic}`);
  const path = join(folder, 'pipeline.yaml');
  writeFileSync(path, text);
  return path;
}

/** An order with its items, good unless it is changed. */
export function order(number, more = {}) {
  return { order_number: number, order_items: [{ item_id: 1, qty: 2, value_unit: 50.25 }, { item_id: 2, qty: 1, value_unit: 100 }], ...more };
}
