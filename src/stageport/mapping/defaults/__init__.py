"""The default blueprints and the default mapping: package data, and what reads it.

They seed a Port account that has none; from then on what is at Port counts.
"""

from stageport.mapping.defaults.documents import OPTIONAL_SETS, default_blueprints, default_mapping

__all__ = ["OPTIONAL_SETS", "default_blueprints", "default_mapping"]
