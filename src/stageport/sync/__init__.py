"""The passes: read the source, map it, plan, apply. Written against the seams, never against a client."""
