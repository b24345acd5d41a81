"""Subscribers of the core's events: logs, the progress line, reports."""
