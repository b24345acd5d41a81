import { Alarm } from '../src/alarm';
import { Repeated } from '../src/repeated';
import { until } from './support/until';

const LONG_MS = 60_000;

class Turns extends Repeated {
  count = 0;

  constructor(
    private readonly withinMs: number,
    private readonly last: number,
  ) {
    super();
  }

  protected async turn(): Promise<number> {
    this.count += 1;
    await this.sleep(this.withinMs);
    return this.count < this.last ? 0 : LONG_MS;
  }
}

it.each([
  ['between two turns', 0, 3],
  ['within a turn', LONG_MS, 1],
])(
  'stops at once while it sleeps %s',
  async (_, withinMs, last) => {
    const turns = new Turns(withinMs, last);
    turns.start();
    turns.start();
    await until(() => turns.count === last);
    await turns.stop();
    expect(turns.count).toBe(last);
  },
  5_000,
);

it('leaves no timer behind when a sleep ends early', async () => {
  jest.useFakeTimers();
  const alarm = new Alarm();
  await alarm.sleep(LONG_MS, Promise.resolve());
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});
