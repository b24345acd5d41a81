"""A well-defined part of jq, translated into Python functions; what lies outside is libjq's.

``parser`` reads an expression; ``singles``, ``streams`` and ``calls`` write a function for it, by means of the
``emitter``; ``values`` holds what jq means by a value, ``patterns`` the regular expressions that mean the same in both
worlds; ``functions`` compiles and keeps.

The rule that makes this exact: a function answers only where its answer is proven to be libjq's. Everything else is
an exception, of whatever kind, and whoever calls a function takes libjq's answer then. Errors are such exceptions too,
so every message that people see is libjq's own. docs/adr/0004-translated-expressions.md has the whole story.
"""
