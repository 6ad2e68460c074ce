"""
The forms of web pages, with their uploads.
"""

from __future__ import annotations

import re
from io import BytesIO
from os import PathLike
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import parse_qsl
from weakref import finalize

from twisted.internet.threads import deferToThread

from ..base.budget import BudgetExceededError
from ..wire.errors import HTTPProtocolError
from .content import RequestContent
from .storing import PIECE, copy
from .values import Values

_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"

# An upload that is larger is on disk; and what a field counts for beside its content.
_IN_MEMORY = 2**16
_OVERHEAD = 256

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class Upload:
    """
    A file that came with a form. It is gone when nobody has this any more.

    @ivar name: the name of the form's field.
    @ivar filename: what the client calls the file, without folders. It is for people: two files
        may have one name.
    @ivar contentType: what the client takes its content for, such as C{image/png}.
    @ivar size: how many octets it has.
    @ivar file: the content, to be read and sought in: in memory, or beyond a size in a temporary
        file, which is for threads to read.
    """

    def __init__(self, name: str, filename: str, contentType: str) -> None:
        self.name = name
        self.filename = filename
        self.contentType = contentType
        self.size = 0
        self.file: IO[bytes] = BytesIO()

    async def read(self, limit: int = 2**20) -> bytes:
        """
        Read all of it into memory.

        @param limit: how many octets it may have.
        @raise HTTPProtocolError: 413: it has more.
        """
        if self.size > limit:
            raise HTTPProtocolError(f"the upload {self.name!r} is larger than {limit} octets", 413)
        content: bytes = await deferToThread(_read, self)
        return content

    async def save(self, path: str | PathLike[str]) -> None:
        """
        Save it as a file, which has its name once it is whole; one that has the name is replaced.

        @param path: the file. It is for the server to say: not made of what the client says.
        @raise OSError: it cannot be written.
        """
        await deferToThread(_save, self, path)

    def __repr__(self) -> str:
        return f"<Upload {self.name!r}: {self.filename!r}, {self.size} octets>"


class Form:
    """
    A form that arrived.

    @ivar fields: its fields, but for files: C{form.fields.get("name")}.
    @ivar uploads: its files, those alone that were chosen.
    """

    def __init__(self, fields: Values, uploads: tuple[Upload, ...] = ()) -> None:
        self.fields = fields
        self.uploads = uploads

    def upload(self, name: str) -> Upload | None:
        """
        The first file of a field.

        @param name: the name of the field.
        """
        return next((upload for upload in self.uploads if upload.name == name), None)

    def __repr__(self) -> str:
        return f"<Form {list(self.fields)!r} {list(self.uploads)!r}>"


class FormReader:
    """
    Reads a form as it arrives, within limits.
    """

    def __init__(
        self,
        content: RequestContent,
        *,
        maxParts: int,
        maxMemory: int,
        maxUploads: int,
        maxUpload: int | None,
        folder: str | PathLike[str] | None,
    ) -> None:
        """
        The arguments are those of L{Request.form <netkit.http.Request.form>}.

        @param content: what the form is read from.
        """
        self._content = content
        self._maxParts = maxParts
        self._maxMemory = maxMemory
        self._maxUploads = maxUploads
        self._maxUpload = maxUpload
        self._folder = folder
        self._share = content.budget.share()
        self._kept = self._parts = 0
        self._fields: list[tuple[str, str]] = []
        self._uploads: list[Upload] = []
        # The part that arrives: whose it is, and what of it is in no file yet.
        self._name = ""
        self._upload: Upload | None = None
        self._arrived = bytearray()

    async def read(self, contentType: str) -> Form:
        """
        Read it.

        @param contentType: the value of the request's Content-Type.
        """
        kind = contentType.partition(";")[0].strip().lower()
        if kind == _URLENCODED:
            return await self._readURLEncoded()
        if kind != _MULTIPART:
            raise HTTPProtocolError(
                f"a form is wanted, {_URLENCODED} or {_MULTIPART}, not {contentType!r}", 415
            )
        try:
            return await self._readMultipart(contentType)
        finally:
            # What there is of it now, the handler has.
            self._share.keep(0)

    async def _readURLEncoded(self) -> Form:
        content = await self._content.read(self._maxMemory)
        try:
            pairs = parse_qsl(
                content.decode("utf-8", "replace"), True, max_num_fields=self._maxParts
            )
        except ValueError as error:
            raise self._tooMany("parts", self._maxParts) from error
        return Form(Values(pairs))

    async def _readMultipart(self, contentType: str) -> Form:
        try:
            from multipart import MultipartError, PushMultipartParser, parse_options_header
        except ImportError as error:
            raise ImportError(
                "forms with files need multipart: pip install 'txnetkit[forms]'"
            ) from error
        try:
            boundary = parse_options_header(contentType)[1].get("boundary", "")
            parser = PushMultipartParser(boundary)
            async for piece in self._content:
                for event in parser.parse(piece):
                    if event is None:
                        await self._end()
                    elif isinstance(event, (bytes, bytearray)):
                        await self._add(event)
                    else:
                        self._begin(event)
            parser.close()
        except MultipartError as error:
            raise HTTPProtocolError(f"the form is malformed: {error}", 400) from error
        return Form(Values(self._fields), tuple(self._uploads))

    def _begin(self, part: Any) -> None:
        self._parts += 1
        if self._parts > self._maxParts:
            raise self._tooMany("parts", self._maxParts)
        self._name = part.name
        if part.filename is not None:
            self._upload = Upload(part.name, _baseName(part.filename), part.content_type or "")

    async def _add(self, octets: bytes | bytearray) -> None:
        self._arrived += octets
        upload = self._upload
        if upload is None:
            self._keep(self._kept + len(self._arrived))
            return
        upload.size += len(octets)
        if self._maxUpload is not None and upload.size > self._maxUpload:
            raise HTTPProtocolError(
                f"the file of the field {upload.name!r} is larger than {self._maxUpload} octets",
                413,
            )
        if len(self._arrived) >= PIECE:
            await self._spill(upload)
        self._count(self._kept + len(self._arrived))

    async def _end(self) -> None:
        upload, self._upload = self._upload, None
        arrived = len(self._arrived)
        if upload is None:
            self._keep(self._kept + arrived + _OVERHEAD)
            self._kept += arrived + _OVERHEAD
            self._fields.append((self._name, self._arrived.decode("utf-8", "replace")))
            self._arrived.clear()
        elif upload.filename or upload.size:
            if len(self._uploads) == self._maxUploads:
                raise self._tooMany("files", self._maxUploads)
            if upload.size <= _IN_MEMORY and self._kept + arrived < self._maxMemory:
                self._kept += arrived + _OVERHEAD
                self._count(self._kept)
                upload.file.write(self._arrived)
                self._arrived.clear()
            else:
                await self._spill(upload)
            upload.file.seek(0)
            self._uploads.append(upload)

    async def _spill(self, upload: Upload) -> None:
        await deferToThread(_append, upload, bytes(self._arrived), self._folder)
        self._arrived.clear()
        self._count(self._kept)

    def _keep(self, size: int) -> None:
        """
        Have so much in memory.
        """
        if size > self._maxMemory:
            raise HTTPProtocolError(
                f"the fields of the form are larger than {self._maxMemory} octets", 413
            )
        self._count(size)

    def _count(self, size: int) -> None:
        """
        Say how much is in memory, among that of all connections.
        """
        try:
            self._share.keep(size)
        except BudgetExceededError as error:
            raise HTTPProtocolError(str(error), 503) from error

    def _tooMany(self, what: str, most: int) -> HTTPProtocolError:
        return HTTPProtocolError(f"the form has more than {most} {what}", 413)


def _baseName(filename: str) -> str:
    """
    Tell the last part of a path of any system, without what is no text (RFC 7578 section 4.2).
    """
    name = _CONTROLS.sub("", filename.replace("\\", "/").rpartition("/")[2])
    return "" if name in (".", "..") else name


# What threads do. They have the upload, so that its file is not closed beneath them.


def _append(upload: Upload, octets: bytes, folder: str | PathLike[str] | None) -> None:
    if isinstance(upload.file, BytesIO):
        upload.file = TemporaryFile(dir=folder)  # noqa: SIM115
        # Not by __del__: where both are garbage of a circle, the file would complain before.
        finalize(upload, upload.file.close)
    upload.file.write(octets)


def _read(upload: Upload) -> bytes:
    upload.file.seek(0)
    return upload.file.read()


def _save(upload: Upload, path: str | PathLike[str]) -> None:
    copy(upload.file, path)
