"""The words of Stageport, as values: refs, entities, blueprints, changes, errors, events.

Everything else is written in terms of this room. It imports nothing of ours and does no I/O.
"""
