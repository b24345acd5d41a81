import { createHash } from 'node:crypto';
import { type Noted, isOverflow } from './outbox/outbox';

/** What is sent: its body, the id that retries of it share, and what it settles in the outbox. */
export interface Message {
  id: string;
  body: Body;
  text: string;
  settles: Noted[];
}

export type Body =
  { type: typeof CHANGED; source: string; changes: Change[] } | { type: typeof OVERFLOW; source: string };

export interface Change {
  entityRef: string;
  operation: 'upsert' | 'delete';
  uid: string | null;
  etag: string | null;
  sequence: number;
}

export const CHANGED = 'stageport.catalog.changed';
export const OVERFLOW = 'stageport.catalog.overflow';

/**
 * Make the message for the first of these changes: as many as fit into `maxBytes`, and at least one.
 *
 * An overflow goes by itself. The id is made from the content, so that whoever sends the same again, be it after a
 * restart or from another replica, sends it under the same id.
 */
export function buildMessage(options: { source: string; noted: Noted[]; maxBytes: number }): Message {
  const { source, noted, maxBytes } = options;
  const overflow = noted.find(isOverflow);
  return overflow ? finish({ type: OVERFLOW, source }, [overflow]) : changesMessage(source, noted, maxBytes);
}

function changesMessage(source: string, noted: Noted[], maxBytes: number): Message {
  const fitting: Noted[] = [];
  const changes: Change[] = [];
  let bytes = Buffer.byteLength(JSON.stringify({ type: CHANGED, source, changes }));
  for (const one of noted) {
    const change = toChange(one);
    bytes += Buffer.byteLength(JSON.stringify(change)) + 1; // the comma
    if (bytes > maxBytes && fitting.length > 0) {
      break;
    }
    fitting.push(one);
    changes.push(change);
  }
  return finish({ type: CHANGED, source, changes }, fitting);
}

function toChange(noted: Noted): Change {
  const { entityRef, operation, uid, etag, sequence } = noted;
  return { entityRef, operation: operation === 'delete' ? 'delete' : 'upsert', uid, etag, sequence };
}

function finish(body: Body, settles: Noted[]): Message {
  const text = JSON.stringify(body);
  const digest = createHash('sha256').update(text);
  // A database that was made anew counts from one again; the times tell its changes from those before.
  settles.forEach(one => digest.update(`\n${one.sequence} ${one.notedAt}`));
  return { id: `msg_${digest.digest('base64url').slice(0, 27)}`, body, text, settles };
}
