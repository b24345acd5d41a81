"""The write side: Port's API as Port's own integration speaks it, down to the ``User-Agent`` that makes entities ours.

Bodies of entities are joined, never parsed or encoded again. What Port says of single entities is an answer
(``Refusal``); what makes Port unusable is an exception (``TargetError``). Calls that Port does not publish each have a
fallback among those that it does.
"""
