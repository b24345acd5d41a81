import type { LoggerService } from '@backstage/backend-plugin-api';
import type { Waiting } from './outbox/outbox';

const SAY_AGAIN_MS = 10 * 60_000;
/** Reasons may differ from try to try, by an id or a time in them. */
const SAY_CHANGED_MS = 60_000;
const SUM_UP_MS = 60 * 60_000;

/**
 * Tells Backstage's log how delivery goes: a change of state at once, a trouble that lasts every ten minutes or, for
 * another reason, every minute, a sum every hour. Each delivery is a matter for debugging.
 */
export class Health {
  private trouble: Trouble | undefined;
  private databaseTrouble: Trouble | undefined;
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
    const trouble = this.next(this.trouble, reason);
    if (trouble !== this.trouble) {
      this.trouble = trouble;
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
    const trouble = this.next(this.databaseTrouble, reason);
    if (trouble !== this.databaseTrouble) {
      this.databaseTrouble = trouble;
      this.logger.warn(`The outbox for Stageport cannot be used at the moment: ${reason}. It is tried again.`);
    }
  }

  noteDatabaseWell(): void {
    if (this.databaseTrouble) {
      const away = seconds(this.now() - this.databaseTrouble.since);
      this.logger.info(`The outbox for Stageport can be used again, after ${away}.`);
      this.databaseTrouble = undefined;
    }
  }

  /** The trouble after one more failure: the same as before where there is nothing to say. */
  private next(before: Trouble | undefined, reason: string): Trouble {
    const now = this.now();
    const pauseMs = before?.reason === reason ? SAY_AGAIN_MS : SAY_CHANGED_MS;
    return before && now - before.saidAt < pauseMs ? before : { since: before?.since ?? now, saidAt: now, reason };
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

interface Trouble {
  since: number;
  saidAt: number;
  reason: string;
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
