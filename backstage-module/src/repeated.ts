import { Alarm } from './alarm';

/** What is done again and again, from `start` until `stop`, which cuts every sleep short. */
export abstract class Repeated {
  protected isEnding = false;
  private readonly ending = new Alarm();
  private running: Promise<void> | undefined;

  start(): void {
    this.running ??= this.run();
  }

  /** Returns when the turn that is under way has ended. */
  async stop(): Promise<void> {
    this.isEnding = true;
    this.ending.ring();
    await this.running;
  }

  /** Do it once, without throwing; returns for how many milliseconds to sleep before the next time. */
  protected abstract turn(): Promise<number>;

  protected async sleep(milliseconds: number, orUntil?: Promise<void>): Promise<void> {
    if (!this.isEnding) {
      await this.ending.sleep(milliseconds, orUntil);
    }
  }

  private async run(): Promise<void> {
    while (!this.isEnding) {
      await this.sleep(await this.turn());
    }
  }
}
