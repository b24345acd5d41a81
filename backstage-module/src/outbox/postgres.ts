import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { type Noted, type Outbox, type Row, type Waiting, CLAIM_MS, OVERFLOW_REF, inOrder } from './outbox';
import { CHANNEL, FUNCTION_BODY, NOW, TRIGGERS } from './postgresTriggers';

/**
 * The outbox in PostgreSQL, which several replicas of Backstage share.
 *
 * Statements here never wait for a row while they hold another one (SKIP LOCKED), so that they cannot be part of a
 * deadlock with a transaction of the catalog. A row that the catalog holds is about to change anyway.
 */
export class PostgresOutbox implements Outbox {
  private readonly claimant = randomUUID();

  private constructor(
    private readonly knex: Knex,
    private readonly schema: string,
  ) {}

  /** The plugin's schema is the first of its search path, be the database its own or shared. */
  static async create(knex: Knex): Promise<PostgresOutbox> {
    const { rows } = await knex.raw<Result<{ schema: string }>>('SELECT current_schema() AS schema');
    return new PostgresOutbox(knex, rows[0]?.schema ?? 'public');
  }

  async install(): Promise<boolean> {
    if (await this.isInstalled(this.knex)) {
      return this.noticeMissed();
    }
    return this.knex.transaction(async tx => {
      await this.lock(tx);
      if (await this.isInstalled(tx)) {
        return false; // another replica was quicker
      }
      await this.create(tx);
      await this.noteOverflow(tx);
      return true;
    });
  }

  async uninstall(): Promise<boolean> {
    return this.knex.transaction(async tx => {
      await this.lock(tx);
      const { rows } = await tx.raw<Result<unknown>>(
        `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = ? AND c.relname = 'stageport_changes'`,
        [this.schema],
      );
      await this.dropTriggers(tx);
      await tx.raw('DROP FUNCTION IF EXISTS ??.stageport_note_change()', [this.schema]);
      await tx.raw('DROP TABLE IF EXISTS ??.stageport_changes', [this.schema]);
      await tx.raw('DROP SEQUENCE IF EXISTS ??.stageport_sequence, ??.stageport_missed', [this.schema, this.schema]);
      return rows.length > 0;
    });
  }

  async claim({ limit, overflow }: { limit: number; overflow: boolean }): Promise<Noted[]> {
    const { rows } = await this.knex.raw<Result<Row>>(
      `WITH picked AS (
         SELECT entity_ref FROM ??.stageport_changes
          WHERE (claimed_until IS NULL OR claimed_until < ${NOW} OR claimed_by = ?)
            AND (? OR entity_ref <> '${OVERFLOW_REF}')
          ORDER BY sequence LIMIT ? FOR UPDATE SKIP LOCKED)
       UPDATE ??.stageport_changes AS c SET claimed_by = ?, claimed_until = ${NOW} + ?
         FROM picked WHERE c.entity_ref = picked.entity_ref
       RETURNING c.*`,
      [this.schema, this.claimant, overflow, limit, this.schema, this.claimant, CLAIM_MS],
    );
    return inOrder(rows);
  }

  async settle(delivered: Noted[]): Promise<void> {
    await this.knex.raw(
      `DELETE FROM ??.stageport_changes WHERE entity_ref IN (
         SELECT c.entity_ref FROM ??.stageport_changes AS c
           JOIN unnest(?::text[], ?::bigint[]) AS d(entity_ref, sequence)
             ON c.entity_ref = d.entity_ref AND c.sequence = d.sequence
            FOR UPDATE OF c SKIP LOCKED)`,
      [this.schema, this.schema, delivered.map(one => one.entityRef), delivered.map(one => one.sequence)],
    );
  }

  async release(): Promise<void> {
    await this.knex.raw(
      `UPDATE ??.stageport_changes SET claimed_by = NULL, claimed_until = NULL WHERE entity_ref IN (
         SELECT entity_ref FROM ??.stageport_changes WHERE claimed_by = ? FOR UPDATE SKIP LOCKED)`,
      [this.schema, this.schema, this.claimant],
    );
  }

  async askForAll(): Promise<void> {
    await this.noteOverflow(this.knex);
  }

  async overflow(): Promise<void> {
    await this.knex.transaction(async tx => {
      await tx.raw(
        `DELETE FROM ??.stageport_changes WHERE entity_ref IN (
           SELECT entity_ref FROM ??.stageport_changes FOR UPDATE SKIP LOCKED)`,
        [this.schema, this.schema],
      );
      await this.noteOverflow(tx);
    });
  }

  async waiting(): Promise<Waiting> {
    const { rows } = await this.knex.raw<Result<{ count: string; oldest: string | null }>>(
      'SELECT count(*) AS count, min(noted_at) AS oldest FROM ??.stageport_changes',
      [this.schema],
    );
    const [row] = rows;
    return { count: Number(row?.count ?? 0), oldestAt: row?.oldest ? Number(row.oldest) : undefined };
  }

  /** One replica at a time; and rather later than in the way of the catalog, whose migrations take locks too. */
  private async lock(tx: Knex): Promise<void> {
    await tx.raw(`SET LOCAL lock_timeout = '3s'`);
    await tx.raw('SELECT pg_advisory_xact_lock(hashtextextended(?, 0))', [`${CHANNEL} ${this.schema}`]);
  }

  private async isInstalled(knex: Knex): Promise<boolean> {
    const { rows } = await knex.raw<Result<{ triggers: string; body: string | null; relations: string }>>(
      `SELECT
         (SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = :schema AND c.relname = 'final_entities'
             AND t.tgname = ANY(:triggers) AND t.tgenabled = 'O') AS triggers,
         (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = :schema
             AND c.relname IN ('stageport_changes', 'stageport_sequence', 'stageport_missed')) AS relations,
         (SELECT p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname = :schema AND p.proname = 'stageport_note_change') AS body`,
      { schema: this.schema, triggers: Object.keys(TRIGGERS) },
    );
    const [found] = rows;
    return (
      Number(found?.triggers) === Object.keys(TRIGGERS).length &&
      Number(found?.relations) === 3 &&
      found?.body === this.sql(FUNCTION_BODY)
    );
  }

  private async create(tx: Knex): Promise<void> {
    await tx.raw(this.sql(TABLES));
    await tx.raw(
      this.sql(
        `CREATE OR REPLACE FUNCTION :schema:.stageport_note_change() RETURNS trigger
           LANGUAGE plpgsql AS $stageport$${FUNCTION_BODY}$stageport$`,
      ),
    );
    await this.dropTriggers(tx);
    for (const [name, when] of Object.entries(TRIGGERS)) {
      await tx.raw(
        this.sql(`CREATE TRIGGER ${name} ${when.replace('final_entities', ':schema:.final_entities')}
           EXECUTE FUNCTION :schema:.stageport_note_change()`),
      );
    }
  }

  private async dropTriggers(tx: Knex): Promise<void> {
    for (const name of Object.keys(TRIGGERS)) {
      await tx.raw('DROP TRIGGER IF EXISTS ?? ON ??.final_entities', [name, this.schema]);
    }
  }

  private async noteOverflow(tx: Knex): Promise<void> {
    await tx.raw(
      this.sql(
        `INSERT INTO :schema:.stageport_changes (entity_ref, operation, sequence, noted_at)
           VALUES ('${OVERFLOW_REF}', 'overflow', nextval(':schema:.stageport_sequence'), ${NOW})
         ON CONFLICT (entity_ref) DO UPDATE SET sequence = EXCLUDED.sequence, noted_at = EXCLUDED.noted_at`,
      ),
    );
  }

  /**
   * A trigger that fails lets the catalog's write pass and counts, in a sequence, which no rollback takes back.
   *
   * The count is set back before the overflow becomes visible, so that whatever is missed later is noticed again.
   */
  private async noticeMissed(): Promise<boolean> {
    const { rows } = await this.knex.raw<Result<{ missed: boolean }>>(
      this.sql('SELECT is_called AS missed FROM :schema:.stageport_missed'),
    );
    if (!rows[0]?.missed) {
      return false;
    }
    await this.knex.transaction(async tx => {
      await this.noteOverflow(tx);
      await tx.raw(this.sql(`SELECT setval(':schema:.stageport_missed', 1, false)`));
    });
    return true;
  }

  private sql(text: string): string {
    return text.replaceAll(':schema:', quoted(this.schema));
  }
}

interface Result<T> {
  rows: T[];
}

const TABLES = `
CREATE TABLE IF NOT EXISTS :schema:.stageport_changes (
  entity_ref text PRIMARY KEY,
  operation text NOT NULL,
  uid text,
  etag text,
  sequence bigint NOT NULL,
  noted_at bigint NOT NULL,
  claimed_by text,
  claimed_until bigint
);
CREATE SEQUENCE IF NOT EXISTS :schema:.stageport_sequence;
CREATE SEQUENCE IF NOT EXISTS :schema:.stageport_missed;`;

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
