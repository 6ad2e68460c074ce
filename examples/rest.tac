"""Pets as JSON and CSV, photos, news, files: twistd -ny rest.tac; curl localhost:3212/pets"""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

from twisted.application.service import Application
from twisted.internet.defer import Deferred

from netkit import http, service
from netkit.http import Request, Response
from netkit.http.middleware import basicAuth, cors, gzipped

(FOLDER := Path("files")).mkdir(exist_ok=True)
pets = {"1": {"name": "Tom", "kind": "cat"}}
waiting: list[Deferred[None]] = []


async def table() -> AsyncIterator[bytes]:
    for number, pet in list(pets.items()):
        yield f"{number},{pet['name']},{pet['kind']}\r\n".encode()


async def news(known: int) -> AsyncIterator[http.Event]:
    while True:
        for known in range(known + 1, len(pets) + 1):
            yield http.Event(pets[str(known)]["name"], event="pet", id=str(known))
        waiting.append(happened := Deferred[None]())
        await happened


async def upload(request: Request) -> Response:
    await request.save(FOLDER / (name := f"{uuid4()}.bin"), limit=500 * 2**20)
    return Response(201, headers=[(b"Location", f"/files/{name}".encode())])


async def answer(request: Request) -> Response | http.Upgrade:
    match request.method.decode(), *map(unquote, request.path.decode().split("/")[1:]):
        case "GET", "pets":
            return Response.json(list(pets.values()))
        case "POST", "pets":
            form = await request.form(maxUpload=2**20)
            pets[number := str(len(pets) + 1)] = {k: form.fields[k] for k in ("name", "kind")}
            if (photo := form.upload("photo")) is not None:
                await photo.save(FOLDER / f"{number}.png")
            for happened in [waiting.pop() for _ in range(len(waiting))]:
                happened.callback(None)
            return Response.redirect(f"/pets/{number}")
        case "GET" | "PUT" as method, "pets", number if number in pets:
            if method == "PUT":
                if not isinstance(changes := await request.json(), dict):
                    raise http.HTTPError(400, "an object is wanted")
                pets[number].update(changes)
            cookie = f"seen={request.cookies.get('seen', '')[-40:]}.{number}; HttpOnly"
            return Response.json(pets[number], headers=[(b"Set-Cookie", cookie.encode())])
        case "GET", "pets.csv":
            return Response(200, table(), [(b"Content-Type", b"text/csv; charset=utf-8")])
        case "GET", "news":
            return http.eventResponse(news(len(pets)))
        case "POST", "files":
            return await basicAuth(upload, {"ann": "secret"})(request)
        case "GET" | "HEAD", "files", name:
            return await http.fileResponse(request, name, root=FOLDER)
    raise http.HTTPError(404)


factory = http.HTTPFactory(cors(gzipped(answer)), limits=http.Limits(content=500 * 2**20))
application = Application("pets")
service.ListeningService("tcp:3212:interface=127.0.0.1", factory).setServiceParent(application)
