"""A local stand-in for the Port API.

It refuses what Port refuses: the rules come from Port's published specification, from the clients Port itself
makes, and from what was observed of it. Where nobody outside Port knows, a switch decides, strict by default; they
are all listed in :class:`~stageport.sandbox.port.options.Leniency` and
:class:`~stageport.sandbox.port.options.Behaviour`.

    async with serve_port(PortOptions()) as running:
        ...  # running.url is the base URL; running.state shows everything that arrived
"""

from stageport.sandbox.port.options import Behaviour, Leniency, PortOptions, RateLimit
from stageport.sandbox.port.server import RunningPort, run_port_sandbox, serve_port
from stageport.sandbox.port.state import PortState

__all__ = [
    "Behaviour",
    "Leniency",
    "PortOptions",
    "PortState",
    "RateLimit",
    "RunningPort",
    "run_port_sandbox",
    "serve_port",
]
