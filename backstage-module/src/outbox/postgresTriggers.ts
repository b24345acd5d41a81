/** The SQL that notes changes in PostgreSQL. `:schema:` stands for the quoted schema of the catalog. */

/** Notifications go out here. The channel belongs to the whole database; who listens looks, and finds or not. */
export const CHANNEL = 'stageport_changes';

export const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

/** The stitcher may write a row before its entity is there; until it is, nobody can see the entity. */
export const TRIGGERS = {
  stageport_inserted: `AFTER INSERT ON final_entities FOR EACH ROW
    WHEN (NEW.final_entity IS NOT NULL)`,
  stageport_updated: `AFTER UPDATE ON final_entities FOR EACH ROW
    WHEN ((NEW.final_entity IS NOT NULL AND OLD.hash IS DISTINCT FROM NEW.hash)
      OR (NEW.final_entity IS NULL) <> (OLD.final_entity IS NULL))`,
  stageport_deleted: `AFTER DELETE ON final_entities FOR EACH ROW
    WHEN (OLD.final_entity IS NOT NULL)`,
  stageport_truncated: `AFTER TRUNCATE ON final_entities FOR EACH STATEMENT`,
};

/**
 * Whatever goes wrong in here must not stop the catalog: it is counted, and the module asks for a whole delta.
 *
 * A change of a row that is waiting gets its number only once it holds the row, so that numbers of one ref grow in the
 * order of the commits. Who claimed the row keeps it: the new change follows the one that is under way.
 */
export const FUNCTION_BODY = `
DECLARE
  ref text := '';
  what text := 'overflow';
  id text;
  tag text;
BEGIN
  BEGIN
    IF TG_OP = 'DELETE' THEN
      ref := OLD.entity_ref; what := 'delete'; id := OLD.entity_id;
    ELSIF TG_OP <> 'TRUNCATE' THEN
      ref := NEW.entity_ref; id := NEW.entity_id;
      IF NEW.final_entity IS NULL THEN
        what := 'delete';
      ELSE
        what := 'upsert'; tag := NEW.hash;
      END IF;
    END IF;
    INSERT INTO :schema:.stageport_changes AS c (entity_ref, operation, uid, etag, sequence, noted_at)
      VALUES (ref, what, id, tag, nextval(':schema:.stageport_sequence'), ${NOW})
      ON CONFLICT (entity_ref) DO UPDATE SET
        operation = EXCLUDED.operation, uid = EXCLUDED.uid, etag = EXCLUDED.etag,
        sequence = nextval(':schema:.stageport_sequence'), noted_at = EXCLUDED.noted_at;
    IF pg_notification_queue_usage() < 0.5 THEN
      PERFORM pg_notify('${CHANNEL}', '');
    END IF;
  EXCEPTION WHEN OTHERS THEN
    BEGIN
      PERFORM nextval(':schema:.stageport_missed');
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
    RAISE WARNING 'stageport: a change of % was not noted: %', ref, SQLERRM;
  END;
  RETURN NULL;
END
`;
