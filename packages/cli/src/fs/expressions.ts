import { setFlagsFromString } from 'node:v8';

/** What only the other engine knows: V8 would take these for plain letters. */
const unicodeOnly = /(?<!\\)(?:\\\\)*\\(?:[pP]\{|u\{)/;
/** A class with a character of which the other engine makes two: it would be any of these. */
const wideClass = /(?<!\\)(?:\\\\)*\[(?:\\.|[^\]\\])*[\u{10000}-\u{10ffff}]/su;

/**
 * An expression of the user for names of others, matched in time linear in their length: of V8's two engines the
 * usual one takes, for `^(a+)+$`, time that doubles with each letter of a name. What a POSIX expression can say is
 * taken; references back, looks around, properties of Unicode and counts of some hundreds are not. A
 * character beyond U+FFFF counts as two.
 *
 * @param loose takes what PCRE takes, as files of contexts do: a dot is any character, and a backslash in front of one
 * without a meaning is nothing
 * @throws SyntaxError for what is no expression, or none of these
 */
export function linearExpression(text: string, { loose = false } = {}): RegExp {
  // Strict about what is an expression; and compiling runs nothing.
  new RegExp(text, loose ? '' : 'u');
  if (unicodeOnly.test(text)) throw new SyntaxError('properties and \\u{…} cannot be used here');
  if (wideClass.test(text)) throw new SyntaxError('characters beyond U+FFFF cannot be used in []');
  // Only makes the flag known: expressions without it are matched as before.
  setFlagsFromString('--enable-experimental-regexp-engine');
  try {
    return new RegExp(text, loose ? 'ls' : 'l');
  } catch (cause) {
    throw new SyntaxError(
      'it cannot be matched in linear time: do without references back, looks around and large counts',
      { cause },
    );
  }
}
