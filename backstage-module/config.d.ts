import type { HumanDuration } from '@backstage/types';

export interface Config {
  /** Tells Stageport of changes in the catalog. Without this section the module does nothing. */
  stageport?: {
    /** How changes are told: by requests to `url` (the default), or by Backstage's event bus. */
    deliverTo?: 'webhook' | 'eventBus';

    /** Where Stageport listens. A URL without a path gets `/integration/webhook`. */
    url?: string;

    /**
     * Signs the requests: `whsec_` and the base64 of 24 to 64 bytes; Stageport is given the same.
     *
     * @visibility secret
     */
    secret?: string;

    /** How this Backstage is named in messages; `backend.baseUrl` unless set. */
    source?: string;

    /** How long Stageport may take to answer: 10 seconds unless set. */
    timeout?: HumanDuration | string;

    /** How often the database is asked for changes where it cannot tell by itself (SQLite, some poolers): 200 ms. */
    pollInterval?: HumanDuration | string;

    /** With more changes waiting than this (50,000), Stageport is asked to look at everything instead. */
    maxWaiting?: number;

    /** Take the module's table and triggers out of the catalog's database, and do nothing else. */
    uninstall?: boolean;
  };
}
