"""The command line: one module a command, each a thin shell over the rooms below.

What is set here counts from the first import on, and imports are a third of what a short run costs.
"""

import gc
import os

ALLOCATIONS = 50_000
"""New objects before Python looks for cycles among them. Its default, 700, costs a sync a sixth of its time; a page of
entities alone is more, and hardly anything of it is in a cycle."""

gc.set_threshold(ALLOCATIONS)
# There are no plugins that read settings for us; looking for some in every installed package takes pydantic 10 ms.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
