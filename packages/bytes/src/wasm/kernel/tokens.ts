/** Words, numbers and signs of a kernel, with where each begins. */
export interface Token {
  readonly kind: 'word' | 'number' | 'sign' | 'end';
  readonly text: string;
  readonly at: number;
}

const pattern =
  /\s+|\/\/[^\n]*|(0x[\da-f]+|\d+)|([a-z_]\w*)|(>>>=|>>>|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^~!<>=()[\]{},;:])/giy;

export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  for (pattern.lastIndex = 0; pattern.lastIndex < text.length; ) {
    const at = pattern.lastIndex;
    const found = pattern.exec(text);
    if (found === null) throw new SyntaxError(`Cannot read a kernel at ${text.slice(at, at + 20)}`);
    const [all, number, word, sign] = found;
    if (number !== undefined) tokens.push({ kind: 'number', text: all, at });
    else if (word !== undefined) tokens.push({ kind: 'word', text: all, at });
    else if (sign !== undefined) tokens.push({ kind: 'sign', text: all, at });
  }
  return [...tokens, { kind: 'end', text: '', at: text.length }];
}

/** Tokens from one place on. */
export class Reader {
  readonly #tokens: readonly Token[];
  readonly #text: string;
  position: number;

  constructor(text: string, tokens: readonly Token[], position = 0) {
    this.#text = text;
    this.#tokens = tokens;
    this.position = position;
  }

  get next(): Token {
    return this.#tokens[this.position]!;
  }

  take(): Token {
    return this.#tokens[this.position++]!;
  }

  /** Takes the next token where it is `text`. */
  accept(text: string): boolean {
    if (this.next.text !== text) return false;
    this.position++;
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.fail(`${text} is missing`);
  }

  word(): string {
    const token = this.take();
    if (token.kind !== 'word') this.fail('a name is missing', token);
    return token.text;
  }

  fail(reason: string, { at } = this.next): never {
    const line = this.#text.slice(0, at).split('\n').length;
    throw new SyntaxError(`Cannot compile line ${line} of a kernel: ${reason}`);
  }
}
