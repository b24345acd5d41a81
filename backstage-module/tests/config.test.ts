import { join } from 'node:path';
import { type ConfigSchema, loadConfigSchema } from '@backstage/config-loader';
import { SECRET } from './support/receiver';

const PACKAGE = join(__dirname, '..', 'package.json');

let schema: ConfigSchema;
beforeAll(async () => {
  schema = await loadConfigSchema({ dependencies: [], packagePaths: [PACKAGE] });
});

function context(stageport: object) {
  const base = {
    app: { baseUrl: 'http://a' },
    backend: { baseUrl: 'http://b', database: { client: 'pg', connection: '' } },
  };
  return [{ context: 'app-config.yaml', data: { ...base, stageport } as never }];
}

it('marks the secret as one, so that Backstage keeps it out of its logs and its frontend', () => {
  const config = context({ url: 'https://stageport.example.com', secret: SECRET, maxWaiting: 7 });
  const secrets = schema.process(config, { visibility: ['secret'] });
  expect(secrets[0]?.data).toMatchObject({ stageport: { secret: SECRET } });
  expect(JSON.stringify(secrets)).not.toContain('stageport.example.com');
  expect(JSON.stringify(schema.process(config, { visibility: ['frontend'] }))).not.toMatch(
    /stageport.example.com|whsec/,
  );
});

it.each([
  {},
  { uninstall: true },
  { deliverTo: 'eventBus', pollInterval: '1s' },
  { url: 'https://s.example.com', secret: SECRET, timeout: { seconds: 3 }, source: 'here', maxWaiting: 10 },
])('accepts %j', stageport => {
  expect(schema.process(context(stageport))[0]?.data).toMatchObject({ stageport });
});

it.each([{ maxWaiting: 'many' }, { deliverTo: 'mail' }, { uninstall: 'yes' }])('refuses %j', stageport => {
  expect(() => schema.process(context(stageport))).toThrow(/stageport/);
});
