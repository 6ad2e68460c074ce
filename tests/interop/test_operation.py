"""
Services are stopped while real clients use them.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.peers import SCRIPTS, Program, requirePeer

COUNTING = """
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.task import deferLater
from netkit.http import HTTPFactory, Response
from netkit.service import ListeningService

begun = 0

async def handler(request):
    global begun
    begun += 1
    if begun == 500:
        print("500 begun", flush=True)
    await deferLater(reactor, 0.02)
    return Response(200, b"done")

class Counted(ListeningService):
    async def _stop(self):
        await super().stopService()
        print("begun", begun)

    def stopService(self):
        from twisted.internet.defer import Deferred
        return Deferred.fromCoroutine(self._stop())

application = Application("counting")
Counted("tcp:0:interface=127.0.0.1", HTTPFactory(handler)).setServiceParent(application)
"""


def test_no_request_that_was_taken_is_lost(tmp_path: Path) -> None:
    wrk = requirePeer("wrk")
    (tmp_path / "counting.tac").write_text(COUNTING)
    service = Program(
        [str(SCRIPTS / "twistd"), "-n", "--pidfile=", "-y", "counting.tac"], cwd=tmp_path
    )
    (found,) = service.waitForLines(re.compile(r"listens on 127.0.0.1:(\d+)"))
    client = Program([wrk, "-t1", "-c20", "-d2", f"http://127.0.0.1:{found[1]}/"])
    # They are in full swing.
    service.waitForLines(re.compile("500 begun"))
    service.stop()
    (begun,) = re.findall(r"begun (\d+)", service.output)
    (answered,) = client.waitForLines(re.compile(r"(\d+) requests in"))
    client.stop()
    assert int(begun) > 0
    assert answered[1] == begun
