import type { LoggerService } from '@backstage/backend-plugin-api';
import type { Outbox } from './outbox/outbox';
import { reasonOf } from './reason';
import { Repeated } from './repeated';

const AGAIN_MS = 30_000;

/**
 * Takes the table and the triggers out of the catalog's database.
 *
 * It looks again as long as it runs: while a deployment rolls, a replica with the configuration from before may put
 * them back.
 */
export class Removal extends Repeated {
  private wasTold = false;

  constructor(
    private readonly outbox: Outbox,
    private readonly logger: LoggerService,
    private readonly againMs = AGAIN_MS,
  ) {
    super();
  }

  protected async turn(): Promise<number> {
    try {
      this.tell(await this.outbox.uninstall());
    } catch (error) {
      this.logger.warn(`Stageport's table and triggers could not be removed yet: ${reasonOf(error)}`);
    }
    return this.againMs;
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
