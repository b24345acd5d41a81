"""A Backstage catalog that is none: it answers the catalog API as the real backend does, from memory.

Written against Backstage 1.55 (plugin-catalog-backend 4.0.0). The way of an entity: *descriptor* (as written),
*processed* (checked, completed), *final* (with uid, relations, status and etag; bytes, ready to be served).
"""

from stageport.sandbox.backstage.access import Access
from stageport.sandbox.backstage.catalog import Catalog
from stageport.sandbox.backstage.descriptors import Descriptor, descriptors_from, sample_descriptors
from stageport.sandbox.backstage.server import (
    BackstageOptions,
    RunningBackstage,
    run_backstage_sandbox,
    sample_catalog,
    serve_backstage,
)
from stageport.sandbox.backstage.synthetic import synthetic_catalog, synthetic_descriptors
from stageport.sandbox.backstage.traps import Phase, RateLimit, Stage, Traps

__all__ = [
    "Access",
    "BackstageOptions",
    "Catalog",
    "Descriptor",
    "Phase",
    "RateLimit",
    "RunningBackstage",
    "Stage",
    "Traps",
    "descriptors_from",
    "run_backstage_sandbox",
    "sample_catalog",
    "sample_descriptors",
    "serve_backstage",
    "synthetic_catalog",
    "synthetic_descriptors",
]
