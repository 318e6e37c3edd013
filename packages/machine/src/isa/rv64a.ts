import { atomic, rs1, rs2, setX } from './build.ts';
import { type Instruction, instruction } from './instruction.ts';
import type { AtomicOperation } from './ir.ts';

const sizes = [
  { suffix: 'w', funct3: '010', width: 4 },
  { suffix: 'd', funct3: '011', width: 8 },
] as const;

const operations: readonly (readonly [name: string, funct5: string, AtomicOperation])[] = [
  ['amoswap', '00001', 'swap'],
  ['amoadd', '00000', 'add'],
  ['amoxor', '00100', 'xor'],
  ['amoand', '01100', 'and'],
  ['amoor', '01000', 'or'],
  ['amomin', '10000', 'min'],
  ['amomax', '10100', 'max'],
  ['amominu', '11000', 'minu'],
  ['amomaxu', '11100', 'maxu'],
];

/** The A extension: Zalrsc and Zaamo (Unprivileged spec, "A"). */
export const rv64a: readonly Instruction[] = sizes.flatMap(({ suffix, funct3, width }) => {
  const pattern = (funct5: string, source: string): string =>
    `${funct5} aq rl ${source} rs1 ${funct3} rd 0101111`;
  return [
    instruction('A', `lr.${suffix}`, pattern('00010', '00000'), 'rd, (rs1)', [
      setX({ kind: 'loadReserved', width, address: rs1 }),
    ]),
    instruction('A', `sc.${suffix}`, pattern('00011', 'rs2'), 'rd, rs2, (rs1)', [
      setX({ kind: 'storeConditional', width, address: rs1, value: rs2 }),
    ]),
    ...operations.map(([name, funct5, operation]) =>
      instruction('A', `${name}.${suffix}`, pattern(funct5, 'rs2'), 'rd, rs2, (rs1)', [
        setX(atomic(operation, width)),
      ]),
    ),
  ];
});
