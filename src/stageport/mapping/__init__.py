"""From source entities to target entities: the mapping document, its expressions, and the processes that run them."""
