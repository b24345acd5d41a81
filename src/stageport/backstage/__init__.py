"""The read side: Backstage's catalog API, and the traps it holds."""
