/**
 * The outbox: a table beside the catalog's own, which triggers on `final_entities` fill.
 *
 * It holds at most one row for each entity ref, the latest change. A row leaves when it was delivered and has not
 * changed since.
 */

/** A change as the outbox holds it. */
export interface Noted {
  /** Lower case; empty for an overflow. */
  entityRef: string;
  operation: 'upsert' | 'delete' | 'overflow';
  uid: string | null;
  etag: string | null;
  /** Grows with each change of a ref. */
  sequence: number;
  /** Milliseconds since 1970, by the database's clock. */
  notedAt: number;
}

/** How many wait, and since when the longest-waiting does (milliseconds since 1970). */
export interface Waiting {
  count: number;
  oldestAt: number | undefined;
}

export interface Outbox {
  /**
   * Make sure that the table and the triggers are there and as they should be.
   *
   * Returns false if they were. Otherwise changes may have gone unnoticed, and an overflow is noted in the same
   * transaction. Cheap and without locks when there is nothing to do.
   */
  install(): Promise<boolean>;

  /** Remove all that `install` made; says whether there was anything. */
  uninstall(): Promise<boolean>;

  /**
   * Take the longest-waiting changes, or those taken before and not settled.
   *
   * What one replica has taken no other one takes until it is settled, released, or 15 seconds have passed.
   * No transaction stays open.
   */
  claim(options: { limit: number; overflow: boolean }): Promise<Noted[]>;

  /** Forget changes that were delivered; one that changed since stays. */
  settle(delivered: Noted[]): Promise<void>;

  /** Let other replicas have what was claimed. */
  release(): Promise<void>;

  /** Note an overflow, and keep what waits. */
  askForAll(): Promise<void>;

  /** Forget all that waits, and note an overflow instead. */
  overflow(): Promise<void>;

  waiting(): Promise<Waiting>;
}

/** An overflow lies in the table as a row of this ref, which no entity can have. */
export const OVERFLOW_REF = '';

/** A claim outlasts one request; a replica that dies delays what it had claimed by this long at most. */
export const CLAIM_MS = 15_000;

export function isOverflow(noted: Noted): boolean {
  return noted.operation === 'overflow';
}

/** A row as either database returns it; PostgreSQL writes big numbers as text. */
export interface Row {
  entity_ref: string;
  operation: Noted['operation'];
  uid: string | null;
  etag: string | null;
  sequence: number | string;
  noted_at: number | string;
}

export function toNoted(row: Row): Noted {
  return {
    entityRef: row.entity_ref,
    operation: row.operation,
    uid: row.uid,
    etag: row.etag,
    sequence: Number(row.sequence),
    notedAt: Number(row.noted_at),
  };
}

export function inOrder(rows: Row[]): Noted[] {
  return rows.map(toNoted).sort((one, other) => one.sequence - other.sequence);
}
