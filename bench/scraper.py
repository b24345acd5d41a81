"""Scrapes ``/metrics`` every 100 ms until its standard input ends, then prints how long each scrape took.

A process of its own: the stand-ins keep their loop busy, and would be measured with it.
"""

import json
import select
import sys
import time
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit


def scrape(url: str) -> list[float]:
    """Return milliseconds, one for each scrape that was answered."""
    taken = []
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        began = time.monotonic()
        try:
            connection.request("GET", "/metrics")
            connection.getresponse().read()
        except (OSError, HTTPException):
            connection.close()
            continue
        taken.append(1000 * (time.monotonic() - began))
    return taken


if __name__ == "__main__":
    print(json.dumps(scrape(sys.argv[1])))
