"""The exit codes, all of them. They are a contract: scripts and CI jobs branch on them."""

from enum import IntEnum


class Exit(IntEnum):
    """What the process says when it ends."""

    OK = 0
    """Done; both catalogs agree, or (``plan``) the plan was shown."""
    FAILED = 1
    """Something failed that has no code of its own."""
    CHANGES = 2
    """Only with ``plan --detailed-exitcode``: there is something to apply."""
    SETTINGS = 3
    """Settings are missing or invalid; nothing was done."""
    MAPPING = 4
    """The mapping document cannot be used; nothing was done."""
    SOURCE = 5
    """Backstage could not be read, or not wholly; nothing was deleted."""
    TARGET = 6
    """Port could not be reached, or refused."""
    UNWRITTEN = 7
    """The pass ended, but some entities could not be mapped or Port refused them."""
    HELD = 8
    """The pass ended, but deletes are held back until a person releases them."""
    USAGE = 64
    """The command line is wrong."""
    INTERRUPTED = 130
    """Stopped by a signal."""
