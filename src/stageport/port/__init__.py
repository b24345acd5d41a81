"""The write side: Port's API, as published or as Port's own integration uses it."""
