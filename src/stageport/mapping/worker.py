"""The process that runs expressions: started with nothing, able to do nothing else.

Run as a script, ``python -I -S worker.py OPTIONS``, with an empty environment. It takes away its own means before it
reads anything, then takes requests from standard input and answers on standard output. It may be killed at any moment,
by its parent or by its own CPU timer; whoever started it finds out which expression was at fault.
"""

import json
import os
import resource
import signal
import sys
from typing import Any


def limit_process(*, memory: int, files: int) -> None:
    """Give up what this process will not need: memory beyond a bound, files, core dumps, the keyboard's signal.

    A limit that the system does not know or does not allow (macOS has no RLIMIT_AS) is passed over: CPU time is
    limited in any case, and the parent watches.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: files,
        resource.RLIMIT_AS: memory,
    }
    for limit, value in wanted.items():
        try:
            resource.setrlimit(limit, (value, value))
        except (OSError, ValueError):
            continue


def main(options: dict[str, Any]) -> None:
    """Serve with these options: ``paths`` to import from, and the limits."""
    sys.path[:0] = options["paths"]
    from stageport.mapping.serving import Worker

    # Answers leave through a descriptor of their own, so that nothing that prints can mix with them.
    target = os.dup(1)
    os.dup2(2, 1)
    # Imports are done: from here on no file can be opened, for there is no number left to give it.
    limit_process(memory=options["memory"], files=target + 1)
    worker = Worker(source=0, target=target, cpu_seconds=options["cpu_seconds"], translate=options["translate"])
    worker.serve()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
