"""What is remembered between passes: one SQLite file for each integration, or one in memory.

``sqlite`` answers what ``sync.seams.Ledger`` asks; ``place`` says where the file lies, and ``opening`` takes its
``lock``, sets ``aside`` what cannot be used, and falls back to memory; ``misfits`` are left alone. ``schema`` says
what the tables hold; ``database`` is all that touches ``sqlite3``; ``faults`` puts what goes wrong there into words.
"""
