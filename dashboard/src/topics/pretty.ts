/**
 * JSON with a line for each value. The text is only given spaces: its numbers and texts stay as they were sent, where a parser would make
 * 1.10 to 1.1 and 12345678901234567890 to another number.
 */

export type Kind = 'key' | 'text' | 'number' | 'word' | 'mark';

export interface Token {
  kind: Kind;
  text: string;
}

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:]/y;
const INDENT = '  ';

/** The lines of a JSON text as tokens; null where it is not JSON. */
export function pretty(text: string): Token[][] | null {
  const tokens = tokenize(text);
  return tokens && isJson(text) ? lines(tokens) : null;
}

export function prettyText(text: string): string {
  return pretty(text)?.map((line) => line.map((token) => token.text).join('')).join('\n') ?? text;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function tokenize(text: string): Token[] | null {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const found = TOKEN.exec(text)?.[0];
    if (found === undefined) return null;
    if (found.trim() === '') continue;
    tokens.push({ kind: kindOf(found), text: found });
  }
  for (let index = 1; index < tokens.length; index += 1) {
    const before = tokens[index - 1];
    if (tokens[index]?.text === ':' && before?.kind === 'text') before.kind = 'key';
  }
  return tokens;
}

function kindOf(text: string): Kind {
  if (text.startsWith('"')) return 'text';
  if (/^[-\d]/.test(text)) return 'number';
  return /^[a-z]/.test(text) ? 'word' : 'mark';
}

function lines(tokens: Token[]): Token[][] {
  const done: Token[][] = [];
  let line: Token[] = [];
  let depth = 0;
  const breakLine = () => {
    done.push(line);
    line = depth > 0 ? [{ kind: 'mark', text: INDENT.repeat(depth) }] : [];
  };
  tokens.forEach((token, index) => {
    const next = tokens[index + 1]?.text ?? '';
    if (token.kind !== 'mark') {
      line.push(token);
    } else if (token.text === '{' || token.text === '[') {
      line.push(token);
      // An empty one stays on its line.
      if (next === '}' || next === ']') return;
      depth += 1;
      breakLine();
    } else if (token.text === '}' || token.text === ']') {
      const before = tokens[index - 1]?.text ?? '';
      if (before !== '{' && before !== '[') {
        depth -= 1;
        breakLine();
      }
      line.push(token);
    } else if (token.text === ',') {
      line.push(token);
      breakLine();
    } else {
      line.push({ kind: 'mark', text: ': ' });
    }
  });
  done.push(line);
  return done;
}
