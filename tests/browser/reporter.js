// One line a test, the whole story of a failure, and the count as `duto test` has it: `N passed, N failed`.

import { basename } from 'node:path';

export default async function* report(events) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    // A suite or a file counts by what is in it, and fails by itself only when it could not run.
    const isCase = data?.details?.type !== 'suite' && !(data?.file && data.name?.endsWith?.('.test.js'));
    const name = `${basename(data?.file ?? '', '.test.js')}: ${data?.name}`;
    if (type === 'test:pass' && isCase) {
      passed += 1;
      yield `ok      ${name} (${Math.round(data.details.duration_ms)} ms)\n`;
    } else if (type === 'test:fail') {
      const { error } = data.details;
      const isOwn = isCase || error?.failureType === 'hookFailed';
      if (isCase) failed += 1;
      if (isOwn) yield `FAILED  ${name}\n${error?.cause?.stack ?? error?.cause ?? error}\n`;
    } else if (type === 'test:diagnostic' && data.nesting > 0) {
      yield `        ${data.message}\n`;
    } else if (type === 'test:stderr') {
      yield data.message;
    }
  }
  yield `${passed} passed, ${failed} failed\n`;
}
