import type * as v from 'valibot';
import { recipeSchema } from './schema.ts';

/** A JSON Schema, as far as recipes need it. */
export interface JsonSchema {
  [keyword: string]: unknown;
}

/**
 * The schema of recipes for editors, in JSON Schema (draft 2020-12). `recipes/recipe.schema.json` is
 * its output; recipes point to it with a `yaml-language-server` comment.
 */
export function recipeJsonSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Recipe of an OS image',
    ...convert(recipeSchema),
  };
}

/** What the conversion looks at: every schema and action of valibot is some of this. */
interface Shape {
  readonly kind: string;
  readonly type: string;
  readonly pipe?: readonly Shape[];
  readonly wrapped?: Shape;
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly item?: Shape;
  readonly options?: readonly unknown[];
  readonly value?: Shape;
  readonly literal?: unknown;
  readonly requirement?: unknown;
  readonly description?: string;
}

function convert(schema: v.GenericSchema): JsonSchema {
  return convertShape(schema as unknown as Shape);
}

function convertShape(shape: Shape): JsonSchema {
  const [base, ...actions] = shape.pipe ?? [shape];
  return Object.assign(convertBase(base ?? shape), ...actions.map(convertAction));
}

function convertBase(shape: Shape): JsonSchema {
  switch (shape.type) {
    case 'optional':
      return convertShape(shape.wrapped!);
    case 'strict_object':
      return convertObject(shape.entries ?? {});
    case 'array':
      return { type: 'array', items: convertShape(shape.item!) };
    case 'union':
      return { anyOf: (shape.options as Shape[]).map(convertShape) };
    case 'picklist':
      return { enum: shape.options };
    case 'literal':
      return { const: shape.literal };
    case 'record':
      return { type: 'object', additionalProperties: convertShape(shape.value!) };
    default:
      return { type: shape.type };
  }
}

function convertObject(entries: Readonly<Record<string, Shape>>): JsonSchema {
  const properties = Object.entries(entries).map(([name, shape]) => [name, convertShape(shape)]);
  const required = Object.keys(entries).filter((name) => entries[name]!.type !== 'optional');
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

function convertAction({ type, requirement, description }: Shape): JsonSchema {
  switch (type) {
    case 'description':
      return { description };
    case 'regex':
      return { pattern: (requirement as RegExp).source };
    case 'integer':
      return { type: 'integer' };
    case 'min_value':
      return { minimum: requirement };
    case 'max_value':
      return { maximum: requirement };
    case 'min_length':
      return {};
    default:
      return {};
  }
}
