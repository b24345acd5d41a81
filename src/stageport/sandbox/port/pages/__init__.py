"""The stand-in's own pages: what arrived, for people. Plain HTML from the server, nothing to load from elsewhere."""
