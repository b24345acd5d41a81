"""The command line: one module a command, each a thin shell over the rooms below."""
