import { setTimeout as delay } from 'node:timers/promises';
import { Alarm } from './alarm';
import { Backoff } from './backoff';
import type { Health } from './health';
import { buildMessage, type Message } from './message';
import { isOverflow, type Outbox } from './outbox/outbox';
import { reasonOf } from './reason';
import type { Outcome, Sender } from './senders/sender';

export interface DeliveryOptions {
  outbox: Outbox;
  sender: Sender;
  health: Health;
  source: string;
  maxWaiting: number;
  /** How long to sleep when nothing waits; asked anew each time. */
  idleMs: () => number;
  /** Shorter in tests. */
  pace?: Partial<Pace>;
}

export interface Pace {
  firstRetryMs: number;
  lastRetryMs: number;
  slowRetryMs: number;
  mostRetryAfterMs: number;
  inspectMs: number;
}

const PACE: Pace = {
  firstRetryMs: 500,
  lastRetryMs: 30_000,
  slowRetryMs: 60_000,
  mostRetryAfterMs: 5 * 60_000,
  inspectMs: 60_000,
};

/**
 * Carries changes from the outbox to the receiver, one message at a time, at least once, each ref in order.
 *
 * A message that the receiver refuses is sent again by halves until one change is left, which is then given up and
 * made good by an overflow. On all other trouble the changes stay where they are and are tried again.
 */
export class Delivery {
  private readonly pace: Pace;
  /** Rings when something may have come. */
  private readonly news = new Alarm();
  private readonly ending = new Alarm();
  private readonly abort = new AbortController();
  private readonly backoff: Backoff;
  private readonly databaseBackoff: Backoff;
  private running: Promise<void> | undefined;
  private isEnding = false;
  private inspectedAt = -Infinity;
  private overflowFrom = -Infinity;
  private limit: number;

  constructor(private readonly options: DeliveryOptions) {
    this.pace = { ...PACE, ...options.pace };
    this.limit = options.sender.maxChanges;
    this.backoff = new Backoff(this.pace.firstRetryMs, this.pace.lastRetryMs);
    this.databaseBackoff = new Backoff(this.pace.firstRetryMs, this.pace.lastRetryMs);
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Something may have come: look now. A wait after a failure is not cut short. */
  wake(): void {
    this.news.ring();
  }

  /** Stop. A message that is under way gets a moment to arrive. */
  async stop(graceMs = 3_000): Promise<void> {
    this.isEnding = true;
    this.news.ring();
    this.ending.ring();
    await Promise.race([this.running, delay(graceMs, undefined, { ref: false })]);
    this.abort.abort();
    await Promise.race([this.running, delay(graceMs, undefined, { ref: false })]);
  }

  private async run(): Promise<void> {
    while (!this.isEnding) {
      try {
        await this.inspect();
        const found = await this.deliver();
        this.databaseBackoff.reset();
        this.options.health.noteDatabaseWell();
        if (!found) {
          await this.news.sleep(this.options.idleMs());
        }
      } catch (error) {
        await this.waitForDatabase(error);
      }
    }
    await this.options.outbox.release().catch(() => undefined);
  }

  /** Now and then see that the triggers are still there: a migration of the catalog may take them along. */
  private async inspect(): Promise<void> {
    if (performance.now() - this.inspectedAt < this.pace.inspectMs) {
      return;
    }
    if (await this.options.outbox.install()) {
      this.options.health.noteInstalled();
    }
    this.inspectedAt = performance.now();
  }

  /** Send one message; says whether there was anything to send. */
  private async deliver(): Promise<boolean> {
    const { outbox, sender, source } = this.options;
    const overflow = performance.now() >= this.overflowFrom;
    const noted = await outbox.claim({ limit: this.limit, overflow });
    if (noted.length === 0) {
      return false;
    }
    const message = buildMessage({ source, noted, maxBytes: sender.maxBytes });
    await this.conclude(message, await sender.send(message, this.abort.signal));
    return true;
  }

  private async conclude(message: Message, outcome: Outcome): Promise<void> {
    switch (outcome.kind) {
      case 'delivered':
        return this.settle(message);
      case 'refused':
        return this.divide(message, outcome.reason);
      case 'failed':
        return this.postpone(outcome);
    }
  }

  private async settle({ settles }: Message): Promise<void> {
    this.backoff.reset();
    this.limit = Math.min(this.options.sender.maxChanges, this.limit * 2);
    await this.options.outbox.settle(settles);
    this.options.health.noteDelivered(settles.length);
  }

  /** The next claim brings the first half of these changes again, until the one that is refused stands alone. */
  private async divide(message: Message, reason: string): Promise<void> {
    const [first] = message.settles;
    if (message.settles.length > 1 || !first) {
      this.limit = Math.ceil(message.settles.length / 2);
    } else if (isOverflow(first)) {
      // A receiver that does not know this message may still take changes.
      this.overflowFrom = performance.now() + this.pace.slowRetryMs;
      await this.options.health.noteFailed(reason, () => this.options.outbox.waiting());
    } else {
      await this.drop(message, reason);
    }
  }

  private async drop({ settles }: Message, reason: string): Promise<void> {
    const { outbox, health } = this.options;
    settles.forEach(({ entityRef }) => health.noteDropped(entityRef, reason));
    await outbox.askForAll();
    await outbox.settle(settles);
    await this.ending.sleep(this.backoff.next()); // a receiver that refuses everything is not to be flooded
  }

  private async postpone({ reason, retryAfterMs, slowly }: Failure): Promise<void> {
    if (this.isEnding) {
      return;
    }
    const { outbox, health, maxWaiting } = this.options;
    await outbox.release();
    await health.noteFailed(reason, () => outbox.waiting());
    const { count } = await outbox.waiting();
    if (count > maxWaiting) {
      health.noteOverflow(count);
      await outbox.overflow();
    }
    const pauseMs = slowly ? this.pace.slowRetryMs : this.backoff.next();
    const wantedMs = Math.min(retryAfterMs ?? 0, this.pace.mostRetryAfterMs);
    await this.ending.sleep(Math.max(pauseMs, wantedMs));
  }

  private async waitForDatabase(error: unknown): Promise<void> {
    if (!this.isEnding) {
      this.options.health.noteDatabaseFailed(reasonOf(error));
      await this.ending.sleep(this.databaseBackoff.next());
    }
  }
}

type Failure = Extract<Outcome, { kind: 'failed' }>;
