import type { Knex } from 'knex';
import type { Noted, Outbox } from '../src/outbox/outbox';
import { CatalogRows } from './support/catalogRows';
import { describeSchema, KINDS, migrations, MIGRATIONS, openCatalogDatabase, outboxOf } from './support/databases';

const ALL = { limit: 1000, overflow: true };

async function installed(knex: Knex): Promise<Outbox> {
  const outbox = await outboxOf(knex);
  await outbox.install();
  await outbox.settle(await outbox.claim(ALL)); // the overflow of a first installation
  return outbox;
}

function told(noted: Noted[]): unknown[] {
  return noted.map(({ entityRef, operation, uid, etag }) => [entityRef, operation, uid, etag]);
}

describe.each(KINDS)('the outbox in %s', kind => {
  let knex: Knex;
  let rows: CatalogRows;

  beforeEach(async () => {
    knex = await openCatalogDatabase(kind);
    rows = new CatalogRows(knex);
  });

  it('asks for everything when it is first installed, and not when it is there already', async () => {
    const outbox = await outboxOf(knex);
    expect(await outbox.install()).toBe(true);
    expect((await outbox.claim(ALL)).map(one => one.operation)).toEqual(['overflow']);
    expect(await outbox.install()).toBe(false);
    expect(await (await outboxOf(knex)).install()).toBe(false);
  });

  it('notes creates, updates and deletes with uid and hash, and nothing of the content', async () => {
    const outbox = await installed(knex);
    const uid = await rows.create('component:default/a');
    expect(told(await outbox.claim(ALL))).toEqual([['component:default/a', 'upsert', uid, 'hash-1']]);
    await rows.stitch(uid, 'component:default/a', 'hash-2');
    expect(told(await outbox.claim(ALL))).toEqual([['component:default/a', 'upsert', uid, 'hash-2']]);
    await rows.delete('component:default/a');
    expect(told(await outbox.claim(ALL))).toEqual([['component:default/a', 'delete', uid, null]]);
    expect(JSON.stringify(await knex('stageport_changes'))).not.toContain('content');
  });

  it('notes nothing of a write that left the hash as it was', async () => {
    const uid = await rows.create('component:default/a');
    const outbox = await installed(knex);
    await rows.stitch(uid, 'component:default/a', 'hash-1');
    await knex('final_entities').update({ last_updated_at: knex.fn.now() });
    expect(await outbox.claim(ALL)).toEqual([]);
  });

  it('notes an entity when it becomes visible, not when its row is reserved', async () => {
    const outbox = await installed(knex);
    const uid = await rows.reserve('component:default/a');
    expect(await outbox.claim(ALL)).toEqual([]);
    await rows.stitch(uid, 'component:default/a', 'hash-1');
    expect(told(await outbox.claim(ALL))).toEqual([['component:default/a', 'upsert', uid, 'hash-1']]);
    await knex('final_entities').update({ final_entity: null });
    expect(told(await outbox.claim(ALL))).toEqual([['component:default/a', 'delete', uid, null]]);
    await rows.delete('component:default/a');
    expect(told(await outbox.claim(ALL))).toEqual([['component:default/a', 'delete', uid, null]]);
  });

  it('notes nothing of a reserved row that goes', async () => {
    const outbox = await installed(knex);
    await rows.reserve('component:default/a');
    await rows.delete('component:default/a');
    expect(await outbox.claim(ALL)).toEqual([]);
  });

  it('keeps the last change of each ref, with a number that grows', async () => {
    const outbox = await installed(knex);
    const first = await rows.create('component:default/a');
    const [created] = await outbox.claim(ALL);
    await rows.delete('component:default/a');
    const again = await rows.create('component:default/a');
    const noted = await outbox.claim(ALL);
    expect(again).not.toBe(first);
    expect(told(noted)).toEqual([['component:default/a', 'upsert', again, 'hash-1']]);
    expect(noted[0]?.sequence).toBeGreaterThan(created?.sequence ?? Infinity);
  });

  it('never gives a number twice, even after everything was delivered', async () => {
    const outbox = await installed(knex);
    const sequences = [];
    for (const name of ['a', 'b', 'c']) {
      await rows.create(`component:default/${name}`);
      const noted = await outbox.claim(ALL);
      sequences.push(...noted.map(one => one.sequence));
      await outbox.settle(noted);
    }
    expect(new Set(sequences).size).toBe(3);
    expect(sequences).toEqual([...sequences].sort((one, other) => one - other));
  });

  it('notes every entity of a delete by many', async () => {
    const outbox = await installed(knex);
    const refs = Array.from({ length: 50 }, (_, place) => `component:default/c${place}`);
    for (const ref of refs) {
      await rows.create(ref);
    }
    await outbox.settle(await outbox.claim(ALL));
    await rows.delete(...refs);
    expect((await outbox.claim(ALL)).map(one => `${one.operation} ${one.entityRef}`).sort()).toEqual(
      refs.map(ref => `delete ${ref}`).sort(),
    );
  });

  it('forgets nothing of a transaction that is rolled back, and notes nothing of it', async () => {
    const outbox = await installed(knex);
    const transaction = knex.transaction(async tx => {
      await new CatalogRows(tx).create('component:default/a');
      throw new Error('rolled back');
    });
    await expect(transaction).rejects.toThrow('rolled back');
    expect(await outbox.claim(ALL)).toEqual([]);
  });

  it('keeps what changed while it was being delivered', async () => {
    const outbox = await installed(knex);
    const uid = await rows.create('component:default/a');
    await rows.create('component:default/b');
    const underWay = await outbox.claim(ALL);
    await rows.stitch(uid, 'component:default/a', 'hash-2');
    await outbox.settle(underWay);
    expect(told(await outbox.claim(ALL))).toEqual([['component:default/a', 'upsert', uid, 'hash-2']]);
  });

  it('hands out the longest-waiting first, in parts', async () => {
    const outbox = await installed(knex);
    for (const name of ['c', 'a', 'b']) {
      await rows.create(`component:default/${name}`);
    }
    const some = await outbox.claim({ limit: 2, overflow: true });
    expect(some.map(one => one.entityRef)).toEqual(['component:default/c', 'component:default/a']);
  });

  it('puts one overflow in the place of all that waits', async () => {
    const outbox = await installed(knex);
    await rows.create('component:default/a');
    await rows.create('component:default/b');
    expect((await outbox.waiting()).count).toBe(2);
    await outbox.overflow();
    await outbox.overflow();
    expect((await outbox.claim(ALL)).map(one => one.operation)).toEqual(['overflow']);
    await rows.create('component:default/c');
    expect(await outbox.claim({ limit: 9, overflow: false })).toHaveLength(1);
    expect(await outbox.claim(ALL)).toHaveLength(2);
  });

  it('tells how many wait, and since when', async () => {
    const outbox = await installed(knex);
    expect(await outbox.waiting()).toEqual({ count: 0, oldestAt: undefined });
    await rows.create('component:default/a');
    const { count, oldestAt } = await outbox.waiting();
    expect(count).toBe(1);
    expect(Math.abs((oldestAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('comes back with an overflow when a migration took the triggers along', async () => {
    const outbox = await installed(knex);
    const uid = await rows.create('component:default/a');
    await outbox.settle(await outbox.claim(ALL));
    if (kind === 'SQLite') {
      // Knex rebuilds the table for this; the triggers go with the old one.
      await knex.schema.alterTable('final_entities', table => table.string('hash', 500).notNullable().alter());
      expect(await knex('sqlite_master').where({ type: 'trigger', tbl_name: 'final_entities' })).toEqual([]);
    } else {
      await knex.raw('DROP TRIGGER stageport_updated ON final_entities');
    }
    await rows.stitch(uid, 'component:default/a', 'hash-2'); // nobody notices
    expect(await outbox.install()).toBe(true);
    await rows.stitch(uid, 'component:default/a', 'hash-3');
    expect((await outbox.claim(ALL)).map(one => one.operation)).toEqual(['overflow', 'upsert']);
  });

  it('survives migrations that add and drop columns and indices', async () => {
    const outbox = await installed(knex);
    await knex.schema.alterTable('final_entities', table => table.string('extra').nullable());
    await knex.schema.alterTable('final_entities', table => table.index(['extra'], 'extra_idx'));
    await knex.schema.alterTable('final_entities', table => table.dropIndex(['extra'], 'extra_idx'));
    await knex.schema.alterTable('final_entities', table => table.dropColumn('extra'));
    await outbox.install();
    await outbox.settle(await outbox.claim(ALL));
    const uid = await rows.create('component:default/a');
    expect(told(await outbox.claim(ALL))).toEqual([['component:default/a', 'upsert', uid, 'hash-1']]);
  });

  it('is in the way of no migration of the catalog, and goes on after it', async () => {
    const outbox = await installed(knex);
    const uid = await rows.create('component:default/a');
    const all = await migrations(knex);
    // Down past the ones that last touched final_entities and what refers to it, and up again.
    for (const name of all.reverse()) {
      await knex.migrate.down({ directory: MIGRATIONS });
      if (name.includes('search_fk_final_entities')) {
        break;
      }
    }
    await knex.migrate.latest({ directory: MIGRATIONS });
    await outbox.install(); // as at the start of the new version
    await outbox.settle(await outbox.claim(ALL));
    await rows.stitch(uid, 'component:default/a', 'hash-2');
    expect(told(await outbox.claim(ALL))).toEqual([['component:default/a', 'upsert', uid, 'hash-2']]);
    expect(await outbox.install()).toBe(false);
  });

  it('is replaced, with an overflow, where an earlier version left other triggers', async () => {
    const outbox = await installed(knex);
    await outbox.uninstall();
    await outbox.install();
    if (kind === 'SQLite') {
      await knex.raw('DROP TRIGGER stageport_deleted');
      await knex.raw('CREATE TRIGGER stageport_deleted AFTER DELETE ON final_entities BEGIN SELECT 1; END');
    } else {
      await knex.raw(
        'CREATE OR REPLACE FUNCTION stageport_note_change() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$',
      );
    }
    expect(await outbox.install()).toBe(true);
    await rows.create('component:default/a');
    await rows.delete('component:default/a');
    expect((await outbox.claim(ALL)).map(one => one.operation)).toEqual(['overflow', 'delete']);
  });

  it('leaves the database as it was when it is uninstalled', async () => {
    await rows.create('component:default/a');
    const before = { schema: await describeSchema(knex), rows: await knex('final_entities') };
    const outbox = await installed(knex);
    expect(await describeSchema(knex)).not.toEqual(before.schema);
    expect(await outbox.uninstall()).toBe(true);
    expect({ schema: await describeSchema(knex), rows: await knex('final_entities') }).toEqual(before);
    expect(await outbox.uninstall()).toBe(false);
    await rows.create('component:default/b');
    await rows.delete('component:default/a');
  });

  it('says what is wrong when the catalog has no table yet', async () => {
    await knex.schema.dropTable('search');
    await knex.schema.dropTable('final_entities');
    const outbox = await outboxOf(knex);
    const complaint = expect.stringContaining('final_entities') as string;
    await expect(outbox.install()).rejects.toHaveProperty('message', complaint);
  });
});
