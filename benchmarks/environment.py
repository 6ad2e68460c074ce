"""
Where the peers are installed and the C programs compiled: in a folder of their own.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
FOLDER = HERE / ".peers"

_LIBRARIES = {
    "zlib.h": ("WITHOUT_ZLIB", ["-lz"]),
    "openssl/ssl.h": ("WITHOUT_TLS", ["-lssl", "-lcrypto"]),
}


class Unusable(Exception):
    """
    Something that a measurement needs is missing or does not work.
    """


@dataclass(frozen=True)
class Environment:
    """
    What servers and the load generator are run with.

    @ivar python: the Python of the servers that are in Python.
    @ivar folder: where compiled programs, certificates and npm's packages are.
    @ivar tree: the source tree that netkit is imported from.
    """

    python: str
    folder: Path
    tree: Path = ROOT

    def at(self, tree: Path) -> Environment:
        """
        The same, with another netkit.

        @param tree: where it is.
        """
        return Environment(self.python, self.folder, tree)

    @property
    def certificate(self) -> Path:
        """
        The path of a certificate and its key, without C{.crt} and C{.key}; made at need.
        """
        prefix = self.folder / "localhost"
        if not prefix.with_suffix(".crt").exists():
            command = [
                "openssl",
                "req",
                "-x509",
                "-nodes",
                "-subj",
                "/CN=localhost",
                "-days",
                "3650",
            ]
            command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
            command += ["-keyout", f"{prefix}.key", "-out", f"{prefix}.crt"]
            run(command)
        return prefix


def run(command: list[str], folder: Path | None = None) -> None:
    """
    Run a program to its end.

    @raise Unusable: it failed, or does not exist.
    """
    try:
        subprocess.run(
            command,
            cwd=folder,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except FileNotFoundError:
        raise Unusable(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise Unusable(f"{' '.join(command)} failed:\n{error.stdout}") from None


def prepare() -> Environment:
    """
    Install the peers, and compile what is in C, netkit's own parts too. What is there already
    stays.
    """
    python = _installPython("venv", "python", HERE / "peers" / "requirements.txt")
    try:
        _installPython("mitmproxy", "mitmproxy", HERE / "peers" / "mitmproxy.txt")
    except Unusable as error:
        print(f"{error}\nit is measured without mitmproxy", file=sys.stderr)
    if shutil.which("npm") and _stale("node", HERE / "peers" / "package.json"):
        print("installing the peers in Node ...", file=sys.stderr)
        shutil.copy(HERE / "peers" / "package.json", FOLDER)
        run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], FOLDER)
        _fresh("node", HERE / "peers" / "package.json")
    compileAll(FOLDER)
    _buildExtensions(ROOT)
    return Environment(str(python), FOLDER)


def _installPython(name: str, kind: str, requirements: Path) -> Path:
    """
    Install packages into a virtual environment of their own.

    @param name: its folder's.
    @param kind: what is installed.
    @param requirements: the file that lists the packages.
    @return: its Python.
    @raise Unusable: they could not be installed.
    """
    python = FOLDER / name / "bin" / "python"
    if _stale(kind, requirements):
        print(f"installing the peers in {requirements.name} ...", file=sys.stderr)
        run([sys.executable, "-m", "venv", "--clear", str(FOLDER / name)])
        command = [str(python), "-m", "pip", "install", "--quiet", "--requirement"]
        run([*command, str(requirements)])
        _fresh(kind, requirements)
    return python


def compileAll(folder: Path) -> None:
    """
    Compile the load generator and the servers that are in C.

    @param folder: where to put them.
    """
    sources = sorted((HERE / "load").glob("*.c"))
    flags = []
    for header, (macro, libraries) in _LIBRARIES.items():
        flags += libraries if _hasHeader(header) else [f"-D{macro}"]
    _compile(sources, flags, folder / "load")
    for source in (HERE / "servers").glob("*.c"):
        _compile([source], flags, folder / source.stem)
    if shutil.which("go"):
        program, source = folder / "go_server", HERE / "servers" / "go_server.go"
        if not program.exists() or program.stat().st_mtime <= source.stat().st_mtime:
            run(["go", "build", "-o", str(program), str(source)])


def extract(commit: str) -> Path:
    """
    Put the source tree of a commit beside the peers.

    @param commit: the commit, or a folder, which is taken as it is.
    @return: where it is.
    """
    if Path(commit).is_dir():
        return Path(commit).resolve()
    command = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        raise Unusable(f"{commit!r} is no commit here, and no folder")
    folder = FOLDER / "trees" / found.stdout.strip()
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        archive = part / "archive.tar"
        run(["git", "-C", str(ROOT), "archive", f"--output={archive}", found.stdout.strip()])
        shutil.unpack_archive(archive, part)
        _buildExtensions(part)
        part.rename(folder)
    return folder


def _buildExtensions(tree: Path) -> None:
    """
    Compile what netkit itself has in C, into a source tree.
    """
    if (tree / "setup.py").exists():
        python = str(FOLDER / "venv" / "bin" / "python")
        command = [python, "setup.py", "build_ext", "--inplace"]
        run([*command, "--build-temp", str(FOLDER / "build")], tree)


def _compile(sources: list[Path], flags: list[str], target: Path) -> None:
    inputs = [*sources, *sources[0].parent.glob("*.h")]
    if target.exists() and all(target.stat().st_mtime > path.stat().st_mtime for path in inputs):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["cc", "-O2", "-std=gnu11", "-o", str(target), *map(str, sources), *flags])


def _hasHeader(name: str) -> bool:
    check = subprocess.run(
        ["cc", "-E", "-xc", "-"], input=f"#include <{name}>\n", text=True, capture_output=True
    )
    return check.returncode == 0


def _stale(kind: str, path: Path) -> bool:
    marker = FOLDER / f"installed-{kind}"
    return not marker.exists() or marker.read_text() != _digest(path)


def _fresh(kind: str, path: Path) -> None:
    (FOLDER / f"installed-{kind}").write_text(_digest(path))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
