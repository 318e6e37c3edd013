import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  block,
  br,
  brIf,
  type Code,
  get,
  i32,
  type Local,
  label,
  ModuleBuilder,
  op,
  set,
  when,
} from '@anole/bytes/wasm';
import { Structure } from './structure.ts';

type Graph = readonly (readonly number[])[];

const STEPS = 200;
const mix = (value: number, at: number): number =>
  (Math.imul(value ^ (at + 1), 0x9e3779b1) ^ (value >>> 13)) | 0;

/** Walks a graph: at each block a hash of the way so far chooses among the successors. */
function walk(graph: Graph, entry: number, seed: number): number {
  let hash = seed;
  let at = entry;
  for (let step = 0; step < STEPS; step++) {
    hash = mix(hash, at);
    const successors = graph[at]!;
    if (successors.length === 0) break;
    at = successors.length === 1 || (hash & 4) === 0 ? successors[0]! : successors[1]!;
  }
  return hash;
}

/** The same walk in WebAssembly: (entry, seed) → hash. */
function compile(graph: Graph, entries: readonly number[]) {
  const builder = new ModuleBuilder(1);
  builder.function(
    { params: ['i32', 'i32'], results: ['i32'] },
    (scope) => {
      const [entry, hash] = scope.params as [Local, Local];
      const left = scope.local('i32');
      const structure = new Structure(graph, entries, scope.local('i32'));
      const end = label('end');
      const start = entries.map((to, index) => {
        const enter = structure.enter(to);
        const isLast = index === entries.length - 1;
        return isLast ? enter : when(op('i32.eq', get(entry), i32(to)), enter);
      });
      const mixed = (at: number): Code => {
        const product = op('i32.mul', op('i32.xor', get(hash), i32(at + 1)), i32(0x9e3779b1));
        return op('i32.xor', product, op('i32.shr_u', get(hash), i32(13)));
      };
      const body = (at: number): Code => {
        const [first, second] = graph[at]!;
        const other = op('i32.and', get(hash), i32(4));
        return [
          brIf(op('i32.eqz', get(left)), end),
          set(left, op('i32.sub', get(left), i32(1))),
          set(hash, mixed(at)),
          second === undefined ? [] : when(other, structure.edge(at, second)),
          first === undefined ? br(end) : structure.edge(at, first),
        ];
      };
      return [set(left, i32(STEPS)), block(end, structure.code(start, body)), get(hash)];
    },
    'walk',
  );
  const module = new WebAssembly.Module(builder.bytes());
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return exports['walk'] as (entry: number, seed: number) => number;
}

test('any graph of blocks is walked as its edges say, from each entry', () => {
  let state = 12345;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  for (let round = 0; round < 300; round++) {
    const size = 1 + below(12);
    const graph = Array.from({ length: size }, () =>
      Array.from({ length: below(3) }, () => below(size)),
    );
    const entries = [...new Set(Array.from({ length: 1 + below(3) }, () => below(size)))];
    const walker = compile(graph, entries);
    for (const entry of entries) {
      for (const seed of [1, round, 0x12345678]) {
        const story = JSON.stringify({ graph, entries, entry, seed });
        assert.equal(walker(entry, seed), walk(graph, entry, seed), story);
      }
    }
  }
});
