"""
The files of the web page.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}

# What compression makes smaller.
_PLAIN = {"html", "js", "mjs", "css", "svg", "json", "webmanifest", "txt"}

#: What is shown where there is no name.
INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """
    A file of the page.

    @ivar content: what is in it.
    @ivar compressed: that, as gzip has it; L{None} where it is not smaller.
    """

    type: str
    content: bytes
    compressed: bytes | None
    tag: str


def staticFiles() -> dict[str, StaticFile]:
    """
    Read the files of the page, by name.
    """
    found = {}
    for file in files(__package__).joinpath("static").iterdir():
        extension = file.name.rpartition(".")[2]
        if extension not in _TYPES or not file.is_file():
            continue
        content = file.read_bytes()
        compressed: bytes | None = None
        if extension in _PLAIN:
            compressed = gzip.compress(content, 9, mtime=0)
            if len(compressed) >= len(content):
                compressed = None
        tag = f'"{sha256(content).hexdigest()[:20]}"'
        found[file.name] = StaticFile(_TYPES[extension], content, compressed, tag)
    return found
