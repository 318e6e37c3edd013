import * as v from 'valibot';
import { isMap, isPair, isScalar, LineCounter, type Node, parseDocument, type Range } from 'yaml';
import { RecipeError } from './errors.ts';
import { type RecipeFile, recipeSchema } from './schema.ts';

/** Recipes are written by hand: larger ones are something else. */
const SIZE_LIMIT = 1024 * 1024;

/**
 * Parses a recipe file.
 *
 * @param file its name, for messages
 * @throws RecipeError `RECIPE_INVALID`, which says where: `recipe.yaml:4:3: packages[0] …`
 */
export function parseRecipe(text: string, file: string): RecipeFile {
  if (text.length > SIZE_LIMIT) throw invalid(file, [`it has over ${SIZE_LIMIT} characters`]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    const messages = document.errors.map((error) => `${place(error.pos[0])}: ${error.message}`);
    throw invalid(file, messages);
  }
  const plain = toPlain(document, file) ?? {};
  if (typeof plain !== 'object' || Array.isArray(plain)) {
    throw invalid(file, [`${place(0)}: the file must be a map of fields`]);
  }
  const result = v.safeParse(recipeSchema, plain);
  if (result.success) return result.output;
  const problems = result.issues.map((issue) => {
    const path = (issue.path ?? []).map((item) => item.key as string | number);
    const offset = startOf(document, path) ?? 0;
    return `${place(offset)}: ${describePath(path)}${describeIssue(issue)}`;
  });
  throw invalid(file, problems);
}

/** Aliases could blow a small file up: few are allowed. */
function toPlain(document: ReturnType<typeof parseDocument>, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw invalid(file, [`${file}: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

/** Where the value at a path begins; for a key that should not be there, where the key does. */
function startOf(
  document: ReturnType<typeof parseDocument>,
  path: readonly (string | number)[],
): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const parent: unknown =
      length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const name = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find(
        (item) => isPair(item) && isScalar(item.key) && item.key.value === name,
      );
      const range = (pair?.key as Node | undefined)?.range;
      if (range) return range[0];
    }
    const range: Range | null | undefined = (
      document.getIn(path.slice(0, length), true) as Node | undefined
    )?.range;
    if (range) return range[0];
  }
  return undefined;
}

function describePath(path: readonly (string | number)[]): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return text === '' ? '' : `${text.replace(/^\./, '')} `;
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  if (issue.expected === 'never') return 'is not known here';
  if (issue.type === 'regex' || issue.type === 'union')
    return `${issue.message} (${issue.received})`;
  return `must be ${issue.expected ?? issue.requirement}, not ${issue.received}`;
}

function invalid(file: string, problems: readonly string[]): RecipeError {
  const shown = problems.slice(0, 10);
  const rest = problems.length - shown.length;
  if (rest > 0) shown.push(`and ${rest} more`);
  return new RecipeError(
    'RECIPE_INVALID',
    `Cannot read the recipe ${file}:\n  ${shown.join('\n  ')}`,
    {
      details: { file, problems: [...problems] },
      hint: 'Correct the recipe; docs/guides/recipes.md describes its fields.',
    },
  );
}
