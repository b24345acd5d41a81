"""The read side: a Backstage catalog over its HTTP API, whole kinds by cursor and single entities by ref.

The rules of that API, and its traps, are those observed on a real backend (catalog-backend 4.0.0): a backend that
starts answers 404 with nothing in it, a token without permission gets empty lists, a page may break off with status
200. Each trap ends in an error that says so, never in a shorter catalog.
"""
