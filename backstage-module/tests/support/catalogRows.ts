import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';

/** Writes rows as the catalog's processing and stitching do. */
export class CatalogRows {
  constructor(private readonly knex: Knex) {}

  /** A final entity; returns its uid. */
  async create(ref: string, hash = 'hash-1'): Promise<string> {
    const uid = randomUUID();
    await this.process(uid, ref);
    await this.knex('final_entities').insert({
      entity_id: uid,
      entity_ref: ref,
      hash,
      final_entity: '{"secret":"content"}',
    });
    return uid;
  }

  /** An entity of which the stitcher has only reserved the row, as releases before 4.0 did. */
  async reserve(ref: string): Promise<string> {
    const uid = randomUUID();
    await this.process(uid, ref);
    await this.knex('final_entities').insert({ entity_id: uid, entity_ref: ref, hash: '' });
    return uid;
  }

  /** The statement of performStitching: one upsert. */
  async stitch(uid: string, ref: string, hash: string): Promise<void> {
    await this.knex('final_entities')
      .insert({ entity_id: uid, entity_ref: ref, hash, final_entity: '{}', last_updated_at: this.knex.fn.now() })
      .onConflict('entity_id')
      .merge(['final_entity', 'hash', 'last_updated_at']);
  }

  /** What goes from refresh_state goes from final_entities by cascade. */
  async delete(...refs: string[]): Promise<void> {
    await this.knex('refresh_state').whereIn('entity_ref', refs).delete();
  }

  private async process(uid: string, ref: string): Promise<void> {
    await this.knex('refresh_state').insert({
      entity_id: uid,
      entity_ref: ref,
      unprocessed_entity: '{}',
      errors: '',
      next_update_at: this.knex.fn.now(),
      last_discovery_at: this.knex.fn.now(),
    });
  }
}
