// Builds a C program in a sandbox. Objects are kept in a directory of this computer by the contents of
// their sources, so that the next build, in another sandbox, compiles what changed.
//
//   node examples/build-with-cache.ts CACHE_DIRECTORY
import { Sandbox } from '@anole/sandbox';

const sources = [
  {
    path: '/src/main.c',
    data: '#include <stdio.h>\nint answer(void);\nint main(void) { printf("%d\\n", answer()); }\n',
  },
  { path: '/src/answer.c', data: 'int answer(void) { return 6 * 7; }\n' },
];
const build = `
set -e
for source in *.c; do
  object=/cache/$(sha256sum < $source | cut -c 1-32).o
  if [ -e $object ]; then echo "$source: cached"
  else echo "$source: compiled"; gcc -c -O $source -o $object.new; mv $object.new $object; fi
  objects="$objects $object"
done
gcc $objects -o /program
`;

const [cache = '.'] = process.argv.slice(2);
await using sandbox = await Sandbox.create('os:gcc', {
  volumes: [{ host: cache, guest: '/cache' }],
});
await sandbox.files.writeAll(sources);
const building = await sandbox.exec(['sh', '-c', build], { cwd: '/src' });
const { exit, stdout, stderr } = await building.output();
process.stdout.write(stdout);
process.stderr.write(stderr);
if (exit.code === 0) {
  // The result leaves as a file; here it is tried where it was made.
  const program = await sandbox.files.read('/program');
  const run = await (await sandbox.exec(['/program'])).output();
  console.log(
    `${program.length > 0 ? 'built' : 'empty'}, prints ${new TextDecoder().decode(run.stdout)}`,
  );
}
process.exitCode = exit.code;
