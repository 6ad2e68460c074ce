"""
picows on uvloop.

    python picows_websocket.py [--broadcast] PORT
"""

from __future__ import annotations

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server


class Echo(WSListener):  # type: ignore[misc]
    """
    Sends each message back.
    """

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Broadcast(WSListener):  # type: ignore[misc]
    """
    Sends each message to everybody.
    """

    everybody: set[WSTransport] = set()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.everybody.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.everybody.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        for each in self.everybody:
            each.send(frame.msg_type, payload)


async def main() -> None:
    """
    Listen.
    """
    *flags, port = sys.argv[1:]
    listener = Broadcast if "--broadcast" in flags else Echo
    server = await ws_create_server(
        lambda request: listener(),
        "127.0.0.1",
        int(port),
        max_frame_size=2**24,
        backlog=4096,
    )
    await server.serve_forever()


uvloop.run(main())
