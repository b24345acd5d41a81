"""Listeners to the core's events: logs, the progress line, metrics, reports to Port."""
