import type { LoggerService } from '@backstage/backend-plugin-api';
import { Alarm } from './alarm';
import type { Outbox } from './outbox/outbox';
import { reasonOf } from './reason';

const AGAIN_MS = 30_000;

/**
 * Takes the table and the triggers out of the catalog's database.
 *
 * It looks again as long as it runs: while a deployment rolls, a replica with the configuration from before may put
 * them back.
 */
export class Removal {
  private readonly ending = new Alarm();
  private running: Promise<void> | undefined;
  private isEnding = false;
  private wasTold = false;

  constructor(
    private readonly outbox: Outbox,
    private readonly logger: LoggerService,
    private readonly againMs = AGAIN_MS,
  ) {}

  start(): void {
    this.running ??= this.run();
  }

  async stop(): Promise<void> {
    this.isEnding = true;
    this.ending.ring();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.isEnding) {
      try {
        this.tell(await this.outbox.uninstall());
      } catch (error) {
        this.logger.warn(`Stageport's table and triggers could not be removed yet: ${reasonOf(error)}`);
      }
      await this.ending.sleep(this.againMs);
    }
  }

  private tell(foundAny: boolean): void {
    if (foundAny) {
      this.logger.info(`Stageport's table and triggers were removed; the package can be taken out now.`);
    } else if (!this.wasTold) {
      this.logger.info(`There is nothing of Stageport in the catalog's database; the package can be taken out now.`);
    }
    this.wasTold = true;
  }
}
