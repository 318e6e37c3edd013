/**
 * `node --import @anole/smc/register app.js`: sockets of the program, and of what is built on them,
 * use shared memory where both ends can. Nothing in the program changes.
 */
import { registerSmc } from './socket/register.ts';

registerSmc();
