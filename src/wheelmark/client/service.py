"""`wheelmark proxy`: the verified indexes on this machine, for any tool, until it is stopped.

Exit status: 0 when nothing was refused; 3 when something was; 1 when an index could not be read at the start.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence

from wheelmark.client.incidents import Incidents
from wheelmark.client.indexes import EXIT_REFUSED, reporting, verified_indexes
from wheelmark.client.options import options, parser
from wheelmark.client.proxy import VerifyingProxy
from wheelmark.client.sources import Sources
from wheelmark.errors import Unavailable, Untrusted

KEEP_FRESH_SECONDS = 60.0  # between looks at the timestamp that nobody asked for
PROBE_NAME = "wheelmark-proxy-start"

_HELP = "set the printed variables for any tool; /healthz and /metrics say how it is"


def main(argv: Sequence[str]) -> int:
    """Serve the verified indexes on this machine until interrupted; return the exit status."""
    return reporting(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    given = options(parser("proxy", "wheelmark proxy [options]", _HELP, tunnels=False), argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    incidents = Incidents(lambda incident: print(incident.line(), file=sys.stderr, flush=True))
    indexes = verified_indexes(given)
    sources = Sources([index.source for index in indexes])

    def refreshes() -> int:
        return sum(index.fetcher.refreshes for index in indexes)

    with VerifyingProxy(sources, incidents, port=given.port, refreshes=refreshes) as proxy:
        _look(sources, proxy)
        print(f"verifying {', '.join(index.choice.url for index in indexes)}", file=sys.stderr)
        print(f"PIP_INDEX_URL={proxy.url}simple/ UV_DEFAULT_INDEX={proxy.url}simple/", flush=True)
        while not stop.wait(KEEP_FRESH_SECONDS):
            try:
                _look(sources, proxy)
            except Untrusted as error:
                proxy.incidents.add(error)
                proxy.counters.incident(error)
    worst = incidents.worst()
    return EXIT_REFUSED if worst is not None and worst.refused else 0


def _look(sources: Sources, proxy: VerifyingProxy) -> None:
    """Ask every index for its newest timestamp: at the start, so that a wrong root or address shows now and not at
    the first install, and from time to time, so that the first request after a pause need not wait.

    An index that is away is said and counted, but is no reason to end: it comes back.

    Raises:
        Untrusted: it answers, and not as its root says.
    """
    try:
        sources.page(PROBE_NAME)
    except Unavailable as error:
        proxy.incidents.add(error)
        proxy.counters.incident(error)
