// Warms one Python interpreter up, then copies the running machine for each job: what the interpreter
// has loaded, and the data it has made, are there at once, and no job sees another.
//
//   node examples/hundred-forks.ts [COUNT]
import { Sandbox } from '@anole/sandbox';

const count = Number(process.argv[2] ?? 100);
const atOnce = 4;
const program = `
import json
squares = {n: n * n for n in range(100000)}  # what takes long, once
print("warm", flush=True)
n = int(input())
print(json.dumps({"n": n, "square": squares[n]}))
`;

await using warmed = await Sandbox.create('os:python');
const python = await warmed.exec(['python3', '-c', program], { stdin: forever() });
await python.stdout.next(); // warm

const answers: string[] = [];
async function job(n: number): Promise<void> {
  await using copy = await warmed.fork();
  const command = copy.attach(python, { stdin: `${n}\n` });
  const { stdout } = await command.output();
  answers[n] = new TextDecoder().decode(stdout).trim();
}
let next = 0;
async function work(): Promise<void> {
  while (next < count) await job(next++);
}
await Promise.all(Array.from({ length: atOnce }, work));
console.log(answers.at(-1));
console.log(`${new Set(answers).size} answers`);

async function* forever(): AsyncGenerator<string> {
  await new Promise(() => {});
}
