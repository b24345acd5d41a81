import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import knexFactory, { type Knex } from 'knex';
import { type Outbox } from '../../src/outbox/outbox';
import { PostgresOutbox } from '../../src/outbox/postgres';
import { SqliteOutbox } from '../../src/outbox/sqlite';
import { until } from './until';

export type Kind = 'SQLite' | 'PostgreSQL';
export const KINDS: Kind[] = ['SQLite', 'PostgreSQL'];

export const MIGRATIONS = join(
  dirname(require.resolve('@backstage/plugin-catalog-backend/package.json')),
  'migrations',
);
const opened: Knex[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map(close));
});

/** Close it when nothing is under way: a backend that was stopped may still stitch, and wait a minute on a closed pool. */
async function close(knex: Knex): Promise<void> {
  const { pool } = knex.client as { pool: { numUsed(): number; numPendingAcquires(): number } };
  await until(() => pool.numUsed() === 0 && pool.numPendingAcquires() === 0);
  await knex.destroy();
}

export function postgresConnection(database = 'postgres') {
  return { host: '127.0.0.1', port: Number(process.env.STAGEPORT_TEST_POSTGRES_PORT), user: 'postgres', database };
}

/** A new PostgreSQL database. */
export async function createPostgresDatabase(): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const admin = open({ client: 'pg', connection: postgresConnection() });
  await admin.raw('CREATE DATABASE ??', [name]);
  return name;
}

/** Another connection pool, as another replica has; it is closed at the end of the test. */
export function open(config: Knex.Config): Knex {
  const knex = knexFactory(config);
  opened.push(knex);
  return knex;
}

/** A new database with the tables that the catalog's own migrations make. */
export async function openCatalogDatabase(kind: Kind, options: { schema?: string } = {}): Promise<Knex> {
  const knex = kind === 'SQLite' ? openSqlite() : await openPostgres(options.schema);
  await knex.migrate.latest({ directory: MIGRATIONS });
  return knex;
}

function openSqlite(): Knex {
  const pool = {
    min: 1,
    max: 1,
    afterCreate: (connection: { pragma(sql: string): void }, done: () => void) => {
      connection.pragma('foreign_keys = ON'); // as Backstage does
      done();
    },
  };
  return open({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true, pool });
}

async function openPostgres(schema?: string): Promise<Knex> {
  const connection = postgresConnection(await createPostgresDatabase());
  const knex = open({ client: 'pg', connection, ...(schema && { searchPath: [schema] }) });
  if (schema) {
    await knex.raw('CREATE SCHEMA ??', [schema]);
  }
  return knex;
}

export async function outboxOf(knex: Knex): Promise<Outbox> {
  return isPostgres(knex) ? PostgresOutbox.create(knex) : new SqliteOutbox(knex);
}

export function isPostgres(knex: Knex): boolean {
  return (knex.client as { config: { client: string } }).config.client === 'pg';
}

/** What the database consists of, to compare before and after. */
export async function describeSchema(knex: Knex): Promise<unknown> {
  if (!isPostgres(knex)) {
    const objects = knex('sqlite_master').select('type', 'name', 'tbl_name', 'sql').orderBy(['type', 'name']);
    return { objects: await objects, sequences: await knex('sqlite_sequence').select('name').orderBy('name') };
  }
  const queries = [
    `SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1, 2`,
    `SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
      WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2`,
    `SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2`,
    `SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
  ];
  return Promise.all(queries.map(async sql => (await knex.raw<{ rows: unknown[] }>(sql)).rows));
}

/** The names of the migrations that have run, in their order. */
export async function migrations(knex: Knex): Promise<string[]> {
  return knex('knex_migrations').orderBy('id').pluck<string[]>('name');
}
