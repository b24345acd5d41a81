"""Gives memory back after a pass that used much of it: a service that waits need not hold what it once took."""

import ctypes
import gc
import sys
from functools import cache
from typing import Any


def give_back() -> None:
    """Collect what nobody refers to any more, and let the C library hand its free pages back where it can (glibc)."""
    gc.collect()
    trim = _trimmer()
    if trim is not None:
        trim(0)


@cache
def _trimmer() -> Any:
    if sys.platform != "linux":
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
