"""Benchmarks: each prints what it measured, none is a test."""
