"""Desired against known: what to create, update and delete, what to hold back, and how to show it. Pure."""
