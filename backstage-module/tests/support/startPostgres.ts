import { type PostgresServer, startPostgresServer } from './postgresServer';

declare global {
  var postgresServer: PostgresServer | undefined;
}

export default async function startPostgres(): Promise<void> {
  globalThis.postgresServer = await startPostgresServer();
  process.env.STAGEPORT_TEST_POSTGRES_PORT = String(globalThis.postgresServer.port);
}
