"""A Backstage catalog that is none: it answers the catalog API as the real backend does, from memory.

Written against Backstage 1.55 (plugin-catalog-backend 4.0.0). The way of an entity: *descriptor* (as written),
*processed* (checked, completed), *final* (with uid, relations, status and etag; bytes, ready to be served).
"""
