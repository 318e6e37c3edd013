import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Uart } from './device.ts';
import * as R from './registers.ts';

function build() {
  const sent: number[] = [];
  const line = { up: false };
  const uart = new Uart(
    (bytes) => sent.push(...bytes),
    (asserted) => {
      line.up = asserted;
    },
  );
  return { uart, sent, line };
}

describe('the serial port', () => {
  it('sends at once and says that it is empty', () => {
    const { uart, sent } = build();
    uart.write(R.RBR_THR_DLL, 1, 0x41);
    assert.deepEqual(sent, [0x41]);
    assert.equal(uart.read(R.LSR, 1), R.LSR_TX_EMPTY);
  });

  it('receives more than its FIFO holds, losing nothing', async () => {
    const { uart, line } = build();
    uart.write(R.IIR_FCR, 1, R.FCR_ENABLE | 0xc0);
    uart.write(R.IER_DLM, 1, R.IER_RX);
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => i);
    const writing = uart.receive(bytes);
    const got: number[] = [];
    assert.equal(line.up, true);
    assert.equal(uart.read(R.IIR_FCR, 1), R.IIR_FIFO | R.IIR_RX);
    while (uart.read(R.LSR, 1) & R.LSR_DATA_READY) got.push(uart.read(R.RBR_THR_DLL, 1));
    await writing;
    assert.deepEqual(got, [...bytes]);
    assert.equal(line.up, false);
  });

  it('reports bytes below the trigger level as timed out', () => {
    const { uart } = build();
    uart.write(R.IIR_FCR, 1, R.FCR_ENABLE | 0xc0);
    uart.write(R.IER_DLM, 1, R.IER_RX);
    void uart.receive(Uint8Array.of(1));
    assert.equal(uart.read(R.IIR_FCR, 1), R.IIR_FIFO | R.IIR_RX_TIMEOUT);
  });

  it('interrupts for an empty transmitter until the cause is read', () => {
    const { uart, line } = build();
    uart.write(R.IER_DLM, 1, R.IER_TX_EMPTY);
    assert.equal(line.up, true);
    assert.equal(uart.read(R.IIR_FCR, 1), R.IIR_TX_EMPTY);
    assert.equal(line.up, false);
    assert.equal(uart.read(R.IIR_FCR, 1), R.IIR_NONE);
    uart.write(R.RBR_THR_DLL, 1, 0x41);
    assert.equal(line.up, true);
  });

  it('keeps the divisor behind its latch', () => {
    const { uart, sent } = build();
    uart.write(R.LCR, 1, R.LCR_DLAB);
    uart.write(R.RBR_THR_DLL, 1, 0x34);
    uart.write(R.IER_DLM, 1, 0x12);
    assert.deepEqual([uart.read(R.RBR_THR_DLL, 1), uart.read(R.IER_DLM, 1)], [0x34, 0x12]);
    uart.write(R.LCR, 1, 3);
    assert.equal(uart.read(R.IER_DLM, 1), 0);
    assert.deepEqual(sent, []);
  });

  it('loops data and modem lines back', () => {
    const { uart, sent } = build();
    uart.write(R.MCR, 1, R.MCR_LOOP | 0x0a);
    assert.equal(uart.read(R.MSR, 1) & 0xf0, 0x90);
    uart.write(R.RBR_THR_DLL, 1, 0x55);
    assert.deepEqual(sent, []);
    uart.write(R.RBR_THR_DLL, 1, 0x56);
    assert.equal(uart.read(R.LSR, 1) & R.LSR_OVERRUN, R.LSR_OVERRUN);
    assert.equal(uart.read(R.RBR_THR_DLL, 1), 0x55);
  });
});
