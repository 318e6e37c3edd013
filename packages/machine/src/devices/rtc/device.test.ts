import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Rtc } from './device.ts';
import * as R from './registers.ts';

function build() {
  const host = { now: 1_700_000_000_000, irq: false };
  const rtc = new Rtc(
    () => host.now,
    (asserted) => {
      host.irq = asserted;
    },
  );
  const time = () => {
    const low = rtc.read(R.TIME_LOW, 4);
    return (BigInt(rtc.read(R.TIME_HIGH, 4)) << 32n) | BigInt(low);
  };
  const arm = (at: bigint) => {
    rtc.write(R.ALARM_HIGH, 4, Number(at >> 32n));
    rtc.write(R.ALARM_LOW, 4, Number(at & 0xffff_ffffn));
  };
  return { rtc, host, time, arm };
}

describe('the real-time clock', () => {
  it('tells the time of the host in nanoseconds', () => {
    const { time, host } = build();
    assert.equal(time(), 1_700_000_000_000_000_000n);
    host.now += 1.5;
    assert.equal(time(), 1_700_000_000_001_500_000n);
  });

  it('goes on from the time that the guest set', () => {
    const { rtc, time, host } = build();
    rtc.write(R.TIME_HIGH, 4, 1);
    rtc.write(R.TIME_LOW, 4, 2);
    host.now += 1;
    assert.equal(time(), (1n << 32n) + 2n + 1_000_000n);
  });

  it('interrupts when the alarm is due', () => {
    const { rtc, time, arm, host } = build();
    rtc.write(R.IRQ_ENABLED, 4, 1);
    arm(time() + 5_000_000n);
    rtc.poll();
    assert.equal(host.irq, false);
    assert.equal(rtc.read(R.ALARM_STATUS, 4), 1);
    assert.equal(rtc.untilAlarm, 5);
    host.now += 5;
    rtc.poll();
    assert.equal(host.irq, true);
    assert.equal(rtc.untilAlarm, undefined);
    rtc.write(R.CLEAR_INTERRUPT, 4, 1);
    assert.equal(host.irq, false);
  });

  it('fires an alarm in the past at once, and forgets a cleared one', () => {
    const { rtc, time, arm, host } = build();
    rtc.write(R.IRQ_ENABLED, 4, 1);
    arm(time() + 1_000_000n);
    rtc.write(R.CLEAR_ALARM, 4, 1);
    host.now += 10;
    rtc.poll();
    assert.equal(host.irq, false);
    arm(time() - 1n);
    assert.equal(host.irq, true);
  });
});
