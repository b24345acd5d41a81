"""What is remembered between passes: one SQLite file for each integration, or one in memory.

``sqlite`` answers what ``sync.seams.Ledger`` asks; ``place`` finds the file, takes its ``lock``, and sets aside what
cannot be used; ``schema`` says what the tables hold; ``database`` is all that touches ``sqlite3``.
"""
