import type { LoggerService } from '@backstage/backend-plugin-api';
import type { Waiting } from './outbox/outbox';

const SAY_AGAIN_MS = 10 * 60_000;
const SUM_UP_MS = 60 * 60_000;

/**
 * Tells Backstage's log how delivery goes: a change of state at once, a trouble that lasts every ten minutes, a sum
 * every hour. Each delivery is a matter for debugging.
 */
export class Health {
  private trouble: { since: number; saidAt: number; reason: string } | undefined;
  private delivered = 0;
  private summedAt: number;

  constructor(
    private readonly logger: LoggerService,
    private readonly target: string,
    private readonly now: () => number = Date.now,
  ) {
    this.summedAt = now();
  }

  noteDelivered(count: number): void {
    this.delivered += count;
    this.logger.debug(`Stageport took ${changes(count)}`);
    if (this.trouble) {
      const away = seconds(this.now() - this.trouble.since);
      this.logger.info(`Changes of the catalog reach Stageport again, after ${away}.`);
      this.trouble = undefined;
    }
    this.sumUp();
  }

  /** `waiting` is asked only when something is said. */
  async noteFailed(reason: string, waiting: () => Promise<Waiting>): Promise<void> {
    const since = this.trouble?.since ?? this.now();
    const isNews = this.trouble?.reason !== reason || this.now() - this.trouble.saidAt >= SAY_AGAIN_MS;
    if (isNews) {
      this.trouble = { since, saidAt: this.now(), reason };
      const words = `Changes of the catalog do not reach Stageport at ${this.target}: ${reason}.`;
      this.logger.warn(`${words} ${describe(await waiting(), this.now())}`);
    }
  }

  noteDropped(ref: string, reason: string): void {
    this.logger.error(`Stageport refused the change of ${ref} (${reason}); it is asked to look at everything instead.`);
  }

  noteOverflow(count: number): void {
    this.logger.warn(
      `${changes(count)} wait, which is too many; Stageport will be asked to look at everything instead.`,
    );
  }

  noteInstalled(): void {
    this.logger.info(
      'The table and the triggers that note changes of the catalog were made; Stageport is asked to look at everything once.',
    );
  }

  noteDatabaseFailed(reason: string): void {
    this.logger.warn(`The outbox for Stageport cannot be used at the moment: ${reason}. Trying again.`);
  }

  private sumUp(): void {
    if (this.now() - this.summedAt >= SUM_UP_MS) {
      this.logger.info(
        `${changes(this.delivered)} of the catalog told to Stageport in ${seconds(this.now() - this.summedAt)}.`,
      );
      this.delivered = 0;
      this.summedAt = this.now();
    }
  }
}

function describe({ count, oldestAt }: Waiting, now: number): string {
  const since = oldestAt === undefined ? '' : `, the first for ${seconds(Math.max(0, now - oldestAt))}`;
  return `${changes(count)} wait in the database${since}; nothing is lost, and it is tried again.`;
}

function changes(count: number): string {
  return count === 1 ? '1 change' : `${count} changes`;
}

function seconds(milliseconds: number): string {
  return milliseconds < 120_000 ? `${Math.round(milliseconds / 1000)} s` : `${Math.round(milliseconds / 60_000)} min`;
}
