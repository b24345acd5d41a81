import type { Knex } from 'knex';
import { type Noted, type Outbox, type Row, type Waiting, OVERFLOW_REF, inOrder } from './outbox';

/**
 * The outbox in SQLite, where one Backstage has the database to itself: nothing needs to be claimed.
 *
 * The triggers replace a row by DELETE and INSERT. An upsert would take over the conflict clause of the statement
 * that fired the trigger. The new row's number is above all earlier ones, which AUTOINCREMENT promises.
 */
export class SqliteOutbox implements Outbox {
  constructor(private readonly knex: Knex) {}

  async install(): Promise<boolean> {
    if (await this.isInstalled()) {
      return false;
    }
    await this.knex.transaction(async tx => {
      await dropTriggers(tx);
      await tx.raw(TABLE.replace('CREATE TABLE', 'CREATE TABLE IF NOT EXISTS'));
      for (const sql of Object.values(TRIGGERS)) {
        await tx.raw(sql);
      }
      await noteOverflow(tx);
    });
    return true;
  }

  async uninstall(): Promise<boolean> {
    const found = await this.found();
    await this.knex.transaction(async tx => {
      await dropTriggers(tx);
      await tx.raw('DROP TABLE IF EXISTS stageport_changes');
    });
    return found.size > 0;
  }

  async claim({ limit, overflow }: { limit: number; overflow: boolean }): Promise<Noted[]> {
    const some = this.knex<Row>('stageport_changes').orderBy('sequence').limit(limit);
    return inOrder(await (overflow ? some : some.whereNot('entity_ref', OVERFLOW_REF)));
  }

  async settle(delivered: Noted[]): Promise<void> {
    const sequences = delivered.map(one => one.sequence);
    await this.knex('stageport_changes').whereIn('sequence', sequences).delete();
  }

  async release(): Promise<void> {}

  async askForAll(): Promise<void> {
    await this.knex.transaction(noteOverflow);
  }

  async overflow(): Promise<void> {
    await this.knex.transaction(async tx => {
      await tx('stageport_changes').delete();
      await noteOverflow(tx);
    });
  }

  async waiting(): Promise<Waiting> {
    const [row] = await this.knex('stageport_changes').count({ count: '*' }).min({ oldest: 'noted_at' });
    return { count: Number(row?.count ?? 0), oldestAt: row?.oldest ? Number(row.oldest) : undefined };
  }

  private async isInstalled(): Promise<boolean> {
    const found = await this.found();
    const wanted = { stageport_changes: TABLE, ...TRIGGERS };
    return Object.entries(wanted).every(([name, sql]) => found.get(name) === sql);
  }

  /** Our table and triggers as SQLite remembers them: by the text that made them. */
  private async found(): Promise<Map<string, string>> {
    const names = ['stageport_changes', ...Object.keys(TRIGGERS)];
    const rows = await this.knex<{ name: string; sql: string }>('sqlite_master')
      .whereIn('name', names)
      .select('name', 'sql');
    return new Map(rows.map(row => [row.name, row.sql]));
  }
}

const NOW = `CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)`;

const TABLE = `CREATE TABLE stageport_changes (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  entity_ref TEXT NOT NULL UNIQUE,
  operation TEXT NOT NULL,
  uid TEXT,
  etag TEXT,
  noted_at INTEGER NOT NULL
)`;

/** The stitcher may write a row before its entity is there; until it is, nobody can see the entity. */
const TRIGGERS = {
  stageport_inserted: `CREATE TRIGGER stageport_inserted AFTER INSERT ON final_entities
WHEN NEW.final_entity IS NOT NULL
BEGIN
  ${note('NEW.entity_ref', `'upsert', NEW.entity_id, NEW.hash`)}
END`,
  stageport_updated: `CREATE TRIGGER stageport_updated AFTER UPDATE ON final_entities
WHEN (NEW.final_entity IS NOT NULL AND OLD.hash IS NOT NEW.hash)
  OR (NEW.final_entity IS NULL) <> (OLD.final_entity IS NULL)
BEGIN
  ${note(
    'NEW.entity_ref',
    `CASE WHEN NEW.final_entity IS NULL THEN 'delete' ELSE 'upsert' END, NEW.entity_id,
    CASE WHEN NEW.final_entity IS NULL THEN NULL ELSE NEW.hash END`,
  )}
END`,
  stageport_deleted: `CREATE TRIGGER stageport_deleted AFTER DELETE ON final_entities
WHEN OLD.final_entity IS NOT NULL
BEGIN
  ${note('OLD.entity_ref', `'delete', OLD.entity_id, NULL`)}
END`,
};

function note(ref: string, operationUidAndEtag: string): string {
  return `DELETE FROM stageport_changes WHERE entity_ref = ${ref};
  INSERT INTO stageport_changes (entity_ref, operation, uid, etag, noted_at)
  VALUES (${ref}, ${operationUidAndEtag}, ${NOW});`;
}

async function dropTriggers(tx: Knex): Promise<void> {
  for (const name of Object.keys(TRIGGERS)) {
    await tx.raw('DROP TRIGGER IF EXISTS ??', [name]);
  }
}

async function noteOverflow(tx: Knex): Promise<void> {
  await tx('stageport_changes').where('entity_ref', OVERFLOW_REF).delete();
  await tx.raw(
    `INSERT INTO stageport_changes (entity_ref, operation, noted_at) VALUES ('${OVERFLOW_REF}', 'overflow', ${NOW})`,
  );
}
