"""Keeps a Port software catalog in step with a Backstage catalog."""
