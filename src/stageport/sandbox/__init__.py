"""Local stand-ins for Port and Backstage: for the demo, for tests, for trying a mapping without an account."""
