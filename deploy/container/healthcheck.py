"""What the container engine asks: does the service answer? The port is the one that the service was given."""

import os
import urllib.request

port = os.environ.get("STAGEPORT_HTTP_PORT") or os.environ.get("APPLICATION__PORT") or "8000"
# Straight to ourselves: no proxy that the environment may name.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(f"http://127.0.0.1:{port}/livez", timeout=4).close()
