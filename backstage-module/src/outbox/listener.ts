import { randomUUID } from 'node:crypto';
import type { LoggerService } from '@backstage/backend-plugin-api';
import type { Knex } from 'knex';
import { reasonOf } from '../reason';
import { Repeated } from '../repeated';
import { CHANNEL } from './postgresTriggers';

/** What is used of a connection of the `pg` driver. */
interface Connection {
  query(sql: string): Promise<unknown>;
  on(event: 'notification', listener: (notification: { payload?: string }) => void): void;
  on(event: 'error' | 'end', listener: () => void): void;
}

/** What is used of Knex' client beside its queries: a connection that the pool does not count. */
interface RawConnections {
  acquireRawConnection(): Promise<Connection>;
  destroyRawConnection(connection: Connection): Promise<void>;
}

/**
 * Hears from PostgreSQL that something was noted, on a connection of its own.
 *
 * A pooler may take LISTEN and never deliver, and a firewall may forget a quiet connection. So once a minute a probe
 * is sent through the pool; only while probes come back is the listener `live`, and polling can be slow.
 */
export class Listener extends Repeated {
  live = false;
  private wasTold = false;

  constructor(
    private readonly options: {
      knex: Knex;
      logger: LoggerService;
      onNews: () => void;
      probeMs?: number;
      patienceMs?: number;
      pollMs: number;
    },
  ) {
    super();
  }

  protected async turn(): Promise<number> {
    try {
      await this.listen();
    } catch (error) {
      this.tell(reasonOf(error));
    }
    this.live = false;
    this.options.onNews(); // whoever sleeps long because of us looks again
    return this.options.patienceMs ?? 2_000;
  }

  /** Listen until the connection ends or a probe does not come back. */
  private async listen(): Promise<void> {
    const client = this.options.knex.client as RawConnections;
    const connection = await client.acquireRawConnection();
    const line = new Line(connection, this.options.onNews);
    try {
      await connection.query(`LISTEN ${CHANNEL}`);
      while (!this.isEnding && line.isUp) {
        if (!(await this.probe(line))) {
          throw new Error('notifications do not arrive; a pooler may be in between');
        }
        this.noteLive();
        await this.sleep(this.options.probeMs ?? 60_000, line.ended);
      }
    } finally {
      await client.destroyRawConnection(connection).catch(() => undefined);
    }
  }

  private async probe(line: Line): Promise<boolean> {
    const probe = randomUUID();
    const heard = line.hear(probe);
    await this.options.knex.raw('SELECT pg_notify(?, ?)', [CHANNEL, probe]);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>(resolve => {
      timer = setTimeout(() => resolve(false), this.options.patienceMs ?? 2_000);
    });
    return Promise.race([heard, line.ended.then(() => false), late]).finally(() => clearTimeout(timer));
  }

  private noteLive(): void {
    if (!this.live) {
      this.live = true;
      this.wasTold = false;
      this.options.logger.debug('PostgreSQL notifies of changes.');
    }
  }

  private tell(reason: string): void {
    if (!this.wasTold && !this.isEnding) {
      this.wasTold = true;
      const { logger, pollMs } = this.options;
      logger.info(`PostgreSQL does not notify of changes (${reason}); it is asked every ${pollMs} ms until it does.`);
    }
  }
}

/** One connection as heard by one listener. */
class Line {
  isUp = true;
  readonly ended: Promise<void>;
  private readonly awaited = new Map<string, () => void>();

  constructor(connection: Connection, onNews: () => void) {
    connection.on('notification', ({ payload }) => {
      this.awaited.get(payload ?? '')?.();
      if (!payload) {
        onNews(); // a payload is a probe, of this replica or another
      }
    });
    this.ended = new Promise(resolve => {
      const end = () => {
        this.isUp = false;
        resolve();
      };
      connection.on('error', end);
      connection.on('end', end);
    });
  }

  hear(probe: string): Promise<boolean> {
    return new Promise(resolve => {
      this.awaited.set(probe, () => {
        this.awaited.delete(probe);
        resolve(true);
      });
    });
  }
}
