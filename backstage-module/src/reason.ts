/** Say in a few words what went wrong, whatever was thrown. */
export function reasonOf(error: unknown): string {
  const { cause, message, code, name } = (error ?? {}) as {
    cause?: unknown;
    message?: string;
    code?: string;
    name?: string;
  };
  if (name === 'TypeError' && cause) {
    return reasonOf(cause); // fetch says only that it failed; the cause says why
  }
  return message || code || name || String(error);
}
