"""
A chat: rooms, names in a cookie, the last messages for who comes later, and a page::

    twistd -ny examples/chat.tac        then open http://localhost:3211/
"""

from collections import deque
from uuid import uuid4

from twisted.application.service import Application

from netkit import websocket
from netkit.http import HTTPFactory, Request, Response
from netkit.service import ListeningService
from netkit.websocket import Rejection, WebSocket, WebSocketRequest

PAGE = """<!doctype html><meta charset=utf-8><title>Chat</title><h1>Chat</h1><ul id=said></ul>
<form id=say><input id=text autofocus autocomplete=off><button>Say</button></form>
<script>
const room = "/rooms/" + (location.hash.slice(1) || "lobby")
const socket = new WebSocket(location.origin.replace("http", "ws") + room, "chat")
socket.onmessage = ({data}) => said.appendChild(document.createElement("li")).textContent = data
say.onsubmit = event => { event.preventDefault(); socket.send(text.value); text.value = "" }
</script>"""


class Room:
    def __init__(self) -> None:
        self.members: set[WebSocket] = set()
        self.history: deque[str] = deque(maxlen=50)

    def say(self, line: str) -> None:
        self.history.append(line)
        websocket.broadcast(line, self.members, dropSlow=True)


class Chat(websocket.WebSocketApplication):
    def __init__(self) -> None:
        super().__init__(self.joined)
        self.rooms: dict[bytes, Room] = {}

    def acceptConnection(self, request: WebSocketRequest) -> Rejection | None:
        origin = request.getHeader("origin")
        if origin is not None and origin.partition("://")[2] != request.getHeader("host"):
            return Rejection(status=403, body=b"a page of another origin\n")
        if not request.path.startswith(b"/rooms/") or len(self.rooms) > 1000:
            return Rejection(status=404)
        if not request.getCookie(b"name"):
            return Rejection(status=401, body=b"open the page first, which gives a name\n")
        return None

    async def joined(self, ws: WebSocket) -> None:
        name = ws.request.getCookie(b"name").decode("latin-1")
        room = self.rooms.setdefault(ws.request.path, Room())
        for line in room.history:
            await ws.send(line)
        room.members.add(ws)
        try:
            async for message in ws:
                room.say(f"{name}: {message!s}")
        finally:
            room.members.discard(ws)


def page(request: Request) -> Response:
    response = Response(200, PAGE.encode(), [(b"Content-Type", b"text/html; charset=utf-8")])
    if "name" not in request.cookies:
        name = f"guest-{uuid4().hex[:6]}"
        response.headers.add(b"Set-Cookie", f"name={name}; SameSite=Strict; HttpOnly".encode())
    return response


options = websocket.WebSocketOptions(maxMessageSize=4096)
factory = websocket.WebSocketFactory(
    Chat(), subprotocols=["chat"], httpFactory=HTTPFactory(page), options=options
)
application = Application("chat")
ListeningService("tcp:3211:interface=127.0.0.1", factory).setServiceParent(application)
