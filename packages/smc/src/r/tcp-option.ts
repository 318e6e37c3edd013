import {
  assembleBpf,
  type BpfInstruction,
  BpfTable,
  bpf,
  ownCgroup,
  SocketProgram,
  socketCookie,
} from '@anole/host/native';
import { SmcError } from '../errors.ts';

/** Kind (experimental), length and "SMCR" in EBCDIC. Source: RFC 7609 appendix A.1. */
const OPTION = [254, 6, 0xe2, 0xd4, 0xc3, 0xd9];
/** Sockets that are on their way, at most. */
const ENTRIES = 65536;

/** What the table says of a socket. */
const State = { wanted: 1, agreed: 2 } as const;

/** linux/bpf.h: fields of struct bpf_sock_ops. */
const Context = { operation: 0, callbackFlags: 84, segmentFlags: 212 } as const;
/** BPF_SOCK_OPS_* */
const Operation = {
  connect: 3,
  connected: 4,
  accepted: 5,
  listen: 11,
  optionLength: 14,
  writeOption: 15,
} as const;
/** enum bpf_func_id */
const Helper = {
  lookUp: 1,
  update: 2,
  cookie: 46,
  setOption: 49,
  setFlags: 59,
  loadOption: 142,
  storeOption: 143,
  reserveOption: 144,
} as const;
const WRITE_OPTION_FLAG = 1 << 6;
/** BPF_LOAD_HDR_OPT_TCP_SYN: looks at the SYN that was received. */
const FROM_SYN = 1;
const SOL_TCP = 6;
const TCP_SAVE_SYN = 27;
const SYN = 0x02;
const ACK = 0x10;
/** Places in the frame of the program. */
const COOKIE = -8;
const OPTION_AT = -16;
const VALUE = -24;

/**
 * The option of TCP by which ends say that they speak SMC, put into the handshakes of sockets that want
 * it by a program in the kernel. Other sockets are left alone.
 *
 * Needs CAP_BPF and CAP_NET_ADMIN, and cgroup2.
 */
export class TcpOption implements Disposable {
  readonly #table: BpfTable;
  readonly #program: SocketProgram;

  /**
   * @param cgroup directory in cgroup2 that this process is below. Default: its own
   * @throws SmcError `SMC_NO_ROCE` where there is none; HostError `HOST_NOT_PERMITTED`, `HOST_NO_NATIVE`
   */
  constructor(cgroup = ownCgroup()) {
    if (cgroup === undefined) {
      throw new SmcError('SMC_NO_ROCE', 'Cannot offer SMC to other hosts: cgroup2 is not mounted', {
        hint: 'mount -t cgroup2 none /sys/fs/cgroup/unified',
      });
    }
    this.#table = new BpfTable({ key: 8, value: 4, entries: ENTRIES });
    try {
      this.#program = new SocketProgram(assembleBpf(program(this.#table.fd)), cgroup);
    } catch (error) {
      this.#table[Symbol.dispose]();
      throw error;
    }
  }

  /** A socket that will connect, or listen, offers SMC. */
  offer(fd: number): void {
    this.#table.set(socketCookie(fd), Uint8Array.of(State.wanted, 0, 0, 0));
  }

  /** Whether both ends of a connection offered it; asked once. */
  isAgreed(fd: number): boolean {
    const cookie = socketCookie(fd);
    const state = this.#table.get(cookie)?.[0];
    this.#table.delete(cookie);
    return state === State.agreed;
  }

  /** Connections that are there stay; new ones do not offer it any more. */
  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
    this.#table[Symbol.dispose]();
  }
}

/** r6 is the context, r7 the operation. */
function program(table: number): BpfInstruction[] {
  return [
    bpf.copy(6, 1),
    bpf.load('u32', 7, 6, Context.operation),
    bpf.jump(7, '==', Operation.connect, 'begin'),
    bpf.jump(7, '==', Operation.listen, 'begin'),
    bpf.jump(7, '==', Operation.optionLength, 'write'),
    bpf.jump(7, '==', Operation.writeOption, 'write'),
    bpf.jump(7, '==', Operation.connected, 'connected'),
    bpf.jump(7, '==', Operation.accepted, 'accepted'),
    bpf.goto('done'),

    // A socket that wants the option is asked when its segments are written.
    bpf.label('begin'),
    ...findState(table),
    bpf.jump(7, '==', Operation.connect, 'ask'),
    bpf.storeValue('u32', 10, VALUE, 1),
    ...setOption(SOL_TCP, TCP_SAVE_SYN, VALUE, 4),
    bpf.label('ask'),
    bpf.load('u32', 2, 6, Context.callbackFlags),
    bpf.or(2, WRITE_OPTION_FLAG),
    bpf.copy(1, 6),
    bpf.call(Helper.setFlags),
    bpf.goto('done'),

    // A SYN has it, and a SYN-ACK where the SYN had it.
    bpf.label('write'),
    bpf.load('u32', 8, 6, Context.segmentFlags),
    bpf.jump(8, '&', SYN, 'syn'),
    bpf.goto('done'),
    bpf.label('syn'),
    ...putOption(),
    bpf.jump(8, '&', ACK, 'answer'),
    bpf.goto('put'),
    bpf.label('answer'),
    ...loadOption(FROM_SYN),
    bpf.jumpNegative(0, 'done'),
    ...putOption(),
    bpf.label('put'),
    bpf.jump(7, '==', Operation.writeOption, 'store'),
    bpf.copy(1, 6),
    bpf.set(2, OPTION.length),
    bpf.set(3, 0),
    bpf.call(Helper.reserveOption),
    bpf.goto('done'),
    bpf.label('store'),
    bpf.copy(1, 6),
    bpf.copy(2, 10),
    bpf.add(2, OPTION_AT),
    bpf.set(3, OPTION.length),
    bpf.set(4, 0),
    bpf.call(Helper.storeOption),
    bpf.goto('done'),

    // The client learns from the SYN-ACK, the server from the SYN that was kept for it.
    bpf.label('connected'),
    ...findState(table),
    bpf.copy(9, 0),
    ...putOption(),
    ...loadOption(0),
    bpf.jumpNegative(0, 'quiet'),
    bpf.storeValue('u32', 9, 0, State.agreed),
    // Nothing more is to be asked: segments that follow are those of any socket.
    bpf.label('quiet'),
    bpf.load('u32', 2, 6, Context.callbackFlags),
    bpf.and(2, ~WRITE_OPTION_FLAG),
    bpf.copy(1, 6),
    bpf.call(Helper.setFlags),
    bpf.goto('done'),
    bpf.label('accepted'),
    ...putOption(),
    ...loadOption(FROM_SYN),
    bpf.jumpNegative(0, 'done'),
    ...takeCookie(),
    bpf.storeValue('u32', 10, VALUE, State.agreed),
    bpf.table(1, table),
    bpf.copy(2, 10),
    bpf.add(2, COOKIE),
    bpf.copy(3, 10),
    bpf.add(3, VALUE),
    bpf.set(4, 0),
    bpf.call(Helper.update),
    bpf.label('done'),
    bpf.set(0, 1),
    bpf.exit,
  ];
}

const takeCookie = (): BpfInstruction[] => [
  bpf.copy(1, 6),
  bpf.call(Helper.cookie),
  bpf.store('u64', 10, COOKIE, 0),
];

/** r0 is where the table has the socket's state; who is not in it is done. */
const findState = (table: number): BpfInstruction[] => [
  ...takeCookie(),
  bpf.table(1, table),
  bpf.copy(2, 10),
  bpf.add(2, COOKIE),
  bpf.call(Helper.lookUp),
  bpf.jump(0, '==', 0, 'done'),
];

/** The option into the frame, which looking for it overwrites. */
const putOption = (): BpfInstruction[] => {
  const view = new DataView(Uint8Array.from([...OPTION, 0, 0]).buffer);
  return [
    bpf.storeValue('u32', 10, OPTION_AT, view.getInt32(0, true)),
    bpf.storeValue('u32', 10, OPTION_AT + 4, view.getInt32(4, true)),
  ];
};

/** r0 is negative where a segment has no such option. */
const loadOption = (flags: number): BpfInstruction[] => [
  bpf.copy(1, 6),
  bpf.copy(2, 10),
  bpf.add(2, OPTION_AT),
  bpf.set(3, OPTION.length),
  bpf.set(4, flags),
  bpf.call(Helper.loadOption),
];

/** setsockopt of the context's socket, with a value in the frame. */
const setOption = (level: number, name: number, at: number, length: number) => [
  bpf.copy(1, 6),
  bpf.set(2, level),
  bpf.set(3, name),
  bpf.copy(4, 10),
  bpf.add(4, at),
  bpf.set(5, length),
  bpf.call(Helper.setOption),
];
