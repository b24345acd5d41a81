'use strict';

/**
 * The module through which tests drive the catalog, over HTTP on the backend's own loopback port:
 *
 *     POST /e2e/mutation   {"type": "full", "entities": [...]}
 *                          {"type": "delta", "added": [...], "removed": ["kind:namespace/name", ...]}
 *     POST /e2e/folder     {"target": "/absolute/glob/*.yaml"}   or null for none
 *     GET  /e2e/progress   what the catalog still has to do, what it shows, and what it refused and why
 */
const { coreServices, createBackendModule } = require('@backstage/backend-plugin-api');
const {
  ANNOTATION_LOCATION,
  ANNOTATION_ORIGIN_LOCATION,
  RELATION_OWNED_BY,
  RELATION_OWNER_OF,
  getCompoundEntityRef,
  parseEntityRef,
  stringifyEntityRef,
} = require('@backstage/catalog-model');
const {
  catalogProcessingExtensionPoint,
  locationSpecToLocationEntity,
  processingResult,
} = require('@backstage/plugin-catalog-node');

/** Entities that a test hands over: what a provider of an organisation, a cloud or a CMDB would do. */
class DrivenProvider {
  getProviderName() {
    return 'stageport-e2e';
  }

  async connect(connection) {
    this.connection = connection;
  }

  async mutate({ type, entities = [], added = [], removed = [] }) {
    await this.connection.applyMutation(
      type === 'full'
        ? { type, entities: entities.map(entity => this.deferred(entity)) }
        : {
            type: 'delta',
            added: added.map(entity => this.deferred(entity)),
            removed: removed.map(ref => ({
              entityRef: stringifyEntityRef(parseEntityRef(ref)),
              locationKey: this.getProviderName(),
            })),
          },
    );
  }

  /** Backstage refuses entities that do not say where they come from; a provider has to add it. */
  deferred(entity) {
    const location = `url:https://catalog.example/${stringifyEntityRef(entity)}`;
    const annotations = {
      [ANNOTATION_LOCATION]: location,
      [ANNOTATION_ORIGIN_LOCATION]: location,
      ...entity.metadata.annotations,
    };
    return {
      entity: { ...entity, metadata: { ...entity.metadata, annotations } },
      locationKey: this.getProviderName(),
    };
  }
}

/** A folder of descriptor files, in the same way as a `file` location of app-config.yaml, but changeable. */
class FolderProvider {
  getProviderName() {
    return 'stageport-e2e-folder';
  }

  async connect(connection) {
    this.connection = connection;
  }

  async read(target) {
    const entities = target
      ? [{ entity: locationSpecToLocationEntity({ location: { type: 'file', target } }), locationKey: `file:${target}` }]
      : [];
    await this.connection.applyMutation({ type: 'full', entities });
  }
}

/** Accepts the custom kinds by name, and derives their owners as the built-in kinds do. */
class CustomKindProcessor {
  constructor(kinds) {
    this.kinds = new Set(kinds);
  }

  getProcessorName() {
    return 'StageportCustomKindProcessor';
  }

  async validateEntityKind(entity) {
    return this.kinds.has(entity.kind);
  }

  async postProcessEntity(entity, _location, emit) {
    if (this.kinds.has(entity.kind)) {
      emitOwners(entity, [entity.spec?.owner ?? []].flat(), emit);
    }
    return entity;
  }
}

/** Adds owners beyond the one that a descriptor can name, as processors do that read a CODEOWNERS file. */
class FurtherOwnersProcessor {
  getProcessorName() {
    return 'StageportFurtherOwnersProcessor';
  }

  async postProcessEntity(entity, _location, emit) {
    const refs = entity.metadata.annotations?.['stageport.example/further-owners'] ?? '';
    emitOwners(entity, refs.split(' ').filter(Boolean), emit);
    return entity;
  }
}

function emitOwners(entity, owners, emit) {
  const source = getCompoundEntityRef(entity);
  for (const owner of owners) {
    const target = parseEntityRef(owner, { defaultKind: 'Group', defaultNamespace: source.namespace });
    emit(processingResult.relation({ source, type: RELATION_OWNED_BY, target }));
    emit(processingResult.relation({ source: target, type: RELATION_OWNER_OF, target: source }));
  }
}

/** Location entities keep their place in the catalog, but nothing is fetched: tests have no network. */
class OfflineLocationProcessor {
  getProcessorName() {
    return 'StageportOfflineLocationProcessor';
  }

  getPriority() {
    return 1; // before the reader that would fetch; lower comes first
  }

  async readLocation(location) {
    return location.type === 'url';
  }
}

/**
 * What `$text: ./openapi.yaml` and its like become: tests have no network, and an entity whose definition lies
 * elsewhere is worth more than none.
 */
const offlinePlaceholders = {
  text: async ({ value }) => `# not fetched: ${value}`,
  yaml: async ({ value }) => ({ 'not fetched': value }),
  json: async ({ value }) => ({ 'not fetched': value }),
};

async function progress(knex) {
  const [{ toProcess }] = await knex('refresh_state')
    .where('next_update_at', '<=', knex.fn.now())
    .orWhere(never => never.whereNull('processed_entity').andWhere('errors', ''))
    .count({ toProcess: '*' });
  const [{ toStitch }] = await knex('stitch_queue').count({ toStitch: '*' });
  const shown = await knex('final_entities').whereNotNull('final_entity').orderBy('entity_ref').pluck('entity_ref');
  const failed = await knex('refresh_state').whereNotIn('errors', ['', '[]']).select('entity_ref', 'errors');
  const refused = Object.fromEntries(failed.map(row => [row.entity_ref, JSON.parse(row.errors).map(reason)]));
  return { toProcess: Number(toProcess), toStitch: Number(toStitch), shown, refused };
}

/** Backstage wraps errors; the innermost one says what is wrong. */
function reason(error) {
  return error.cause ? `${error.message}; caused by ${reason(error.cause)}` : `${error.name}: ${error.message}`;
}

async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8') || 'null');
}

/** Tests come and go many times a minute; a file that survives a power cut would only slow them down. */
async function trustTheMachine(knex) {
  if (knex.client.config.client !== 'better-sqlite3') {
    return;
  }
  await knex.raw('PRAGMA synchronous = OFF');
  await knex.raw('PRAGMA journal_mode = MEMORY');
}

function controls({ driven, folder, knex }) {
  const routes = {
    'POST /mutation': async request => driven.mutate(await readJson(request)),
    'POST /folder': async request => folder.read((await readJson(request)).target),
    'GET /progress': async () => progress(knex),
  };
  return async (request, response) => {
    const route = routes[`${request.method} ${request.path}`];
    try {
      const answer = route ? await route(request) : undefined;
      response.status(route ? 200 : 404).json(answer ?? null);
    } catch (error) {
      response.status(400).json({ error: String(error) });
    }
  };
}

const drivenCatalog = createBackendModule({
  pluginId: 'catalog',
  moduleId: 'stageport-e2e',
  register(registry) {
    registry.registerInit({
      deps: {
        catalog: catalogProcessingExtensionPoint,
        config: coreServices.rootConfig,
        database: coreServices.database,
        router: coreServices.rootHttpRouter,
      },
      async init({ catalog, config, database, router }) {
        const driven = new DrivenProvider();
        const folder = new FolderProvider();
        const knex = await database.getClient();
        await trustTheMachine(knex);
        catalog.addEntityProvider(driven, folder);
        catalog.addProcessor(
          new CustomKindProcessor(config.getOptionalStringArray('e2e.customKinds') ?? []),
          new FurtherOwnersProcessor(),
          new OfflineLocationProcessor(),
        );
        for (const [key, resolver] of Object.entries(offlinePlaceholders)) {
          catalog.addPlaceholderResolver(key, resolver);
        }
        router.use('/e2e', controls({ driven, folder, knex }));
      },
    });
  },
});

module.exports = { drivenCatalog };
