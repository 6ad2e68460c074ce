"""
What people install: the sdist and the wheel, built, installed, run and uninstalled again. The
environment variable C{NETKIT_DIST} names a folder that has them already, as C{make dist} does.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.interop.peers import Daemon

ROOT = Path(__file__).parents[2]

# What has a part in C, and a program that says which one is used of each.
COMPILED = (
    "netkit/capture/views/lanes",
    "netkit/operation/exchanges",
    "netkit/reactor/channels",
    "netkit/wire/http/scanning",
    "netkit/wire/recording/contents",
    "netkit/wire/websocket/codec",
)
USED = """
from netkit.capture.views.lanes import Lane
from netkit.operation.exchanges import Tally
from netkit.reactor.channels import Channel
from netkit.wire.http.scanning import scan_request
from netkit.wire.recording.contents import Sender
from netkit.wire.websocket.codec import serialize_frame
for used in Lane, Tally, Channel, scan_request, Sender, serialize_frame:
    print(used.__module__)
"""

# Far beyond what a download takes.
PATIENCE = 300


def call(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def sources() -> set[str]:
    """
    The files that an installation has to have.
    """
    files = [*(ROOT / "netkit").rglob("*.py"), *(ROOT / "twisted" / "plugins").glob("*.py")]
    files += (ROOT / "netkit" / "inspector" / "static").iterdir()
    named = {str(path.relative_to(ROOT)) for path in files}
    return named | {"netkit/py.typed", *(f"{folder}/native.pyi" for folder in COMPILED)}


def contents(wheel: ZipFile) -> set[str]:
    """
    The files of a wheel, without what pip writes down about it.
    """
    names = [name for name in wheel.namelist() if not name.endswith("/")]
    return {name for name in names if ".dist-info/" not in name}


def pluginNames() -> set[str]:
    """
    The services that the plugin files name.
    """
    texts = [path.read_text() for path in (ROOT / "twisted" / "plugins").glob("*.py")]
    return set(re.findall(r'^ *"(netkit[a-z-]*)",$', "\n".join(texts), re.MULTILINE))


def checkout() -> list[str]:
    """
    All files that a working copy has, without what was made in it.
    """
    if not (ROOT / ".git").exists():
        # An unpacked sdist, which names its own.
        [listing] = ROOT.glob("*.egg-info/SOURCES.txt")
        return [name for name in listing.read_text().split("\n") if name]
    command = "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """
    The sdist, and the wheel built from it.
    """
    if given := os.environ.get("NETKIT_DIST"):
        folder = Path(given).absolute()
    else:
        work = tmp_path_factory.mktemp("build")
        folder = work / "dist"
        for name in checkout():
            (work / "netkit" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, work / "netkit" / name)
        call(sys.executable, "-m", "build", "--outdir", folder, work / "netkit", cwd=work)
    [sdist] = folder.glob("*.tar.gz")
    [wheel] = folder.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


def test_wheel_is_for_all_pythons_to_come(distributions: dict[str, Path]) -> None:
    assert "-cp311-abi3-" in distributions["wheel"].name


def test_wheel_has_all_and_nothing_else(distributions: dict[str, Path]) -> None:
    with ZipFile(distributions["wheel"]) as wheel:
        assert contents(wheel) == sources() | {f"{folder}/native.abi3.so" for folder in COMPILED}


def test_without_a_compiler_it_is_python_alone(
    distributions: dict[str, Path], tmp_path: Path
) -> None:
    """
    What is compiled is left out where that fails, and what stands in for it is used.
    """
    call(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", distributions["sdist"]),
        cwd=tmp_path,
        CC="false",
    )
    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        assert contents(archive) == sources()
        archive.extractall(tmp_path / "unpacked")
    used = call(sys.executable, "-c", USED, cwd=tmp_path / "unpacked")
    assert used.split() == [
        "netkit.capture.views.lanes.python",
        "netkit.operation.exchanges.python",
        "netkit.reactor.channels.python",
        "netkit.wire.http.scanning",
        "netkit.wire.recording.contents.python",
        "netkit.wire.websocket.codec.python",
    ]


def test_name_is_the_one_that_readme_says(distributions: dict[str, Path]) -> None:
    said = re.search(r"distribution is called `(\S+)`", (ROOT / "README.md").read_text())
    assert said is not None
    for path in distributions.values():
        assert path.name.startswith(f"{said[1]}-")


def test_sdist_has_all_that_a_checkout_has(distributions: dict[str, Path]) -> None:
    with tarfile.open(distributions["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert sources() <= names
    assert set(checkout()) - names <= {".gitignore"}


def test_sdist_passes_its_tests(distributions: dict[str, Path], tmp_path: Path) -> None:
    """
    Those that read files beside netkit find them.
    """
    with tarfile.open(distributions["sdist"]) as sdist:
        sdist.extractall(tmp_path, filter="data")
    [tree] = tmp_path.iterdir()
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    # Nothing is compiled there.
    without = {"NETKIT_REQUIRE_PEERS": ""}

    call(
        *command,
        "tests/test_layers.py",
        "tests/http/test_docs.py",
        "tests/websocket/test_docs.py",
        "tests/interop/test_readme.py::test_links_lead_somewhere",
        "tests/interop/test_readme.py::test_the_two_commands_are_what_ci_runs",
        cwd=tree,
        **without,
    )


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The commands' folder of a virtual environment.
    """
    work = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "venv", cwd=work)
    return work / "venv" / "bin"


@pytest.fixture(params=["wheel", "sdist"])
def installed(
    request: pytest.FixtureRequest, distributions: dict[str, Path], scripts: Path, tmp_path: Path
) -> Path:
    """
    That folder, where netkit is installed from one of the distributions.
    """
    pip = (scripts / "pip", "install", "--quiet", "--no-compile")
    call(*pip, distributions[request.param], cwd=tmp_path)
    return scripts


def runPlugin(installed: Path, work: Path) -> None:
    """
    Install, run and uninstall the example of a plugin of one's own, in its own distribution.
    """
    # Of which the build leaves things behind.
    shutil.copytree(ROOT / "examples" / "plugin", work / "plugin")
    call(installed / "pip", "install", "--quiet", "--no-deps", "./plugin", cwd=work)
    options = ("-l", "tcp:0:interface=127.0.0.1", "--marks", "2", "--max-connections", "1")
    daemon = Daemon("upper", *options, cwd=work, scripts=installed)
    try:
        port = daemon.address("tcp").port
        with socket.create_connection(("127.0.0.1", port or 0), timeout=60) as client:
            client.sendall(b"hello")
            with client.makefile("rb") as reply:
                assert reply.read(7) == b"HELLO!!"
    finally:
        daemon.stop()
    call(installed / "pip", "uninstall", "--quiet", "--yes", "upper-service", cwd=work)


def test_install_run_uninstall(
    request: pytest.FixtureRequest, installed: Path, tmp_path: Path
) -> None:
    """
    All services are there, and run; once uninstalled, nothing of netkit is left, and Twisted is
    as it was.
    """
    offered = call(installed / "twistd", "--help", cwd=tmp_path)
    names = pluginNames()
    assert "netkit-echo" in names
    assert names == set(re.findall(r"^ +(netkit\S*)  ", offered, re.MULTILINE))

    used = call(installed / "python", "-c", USED, cwd=tmp_path)
    assert used.split() == [
        f"netkit.{name}.native"
        for name in (
            "capture.views.lanes",
            "operation.exchanges",
            "reactor.channels",
            "wire.http.scanning",
            "wire.recording.contents",
            "wire.websocket.codec",
        )
    ]

    daemon = Daemon(
        "netkit-echo", "-l", "tcp:0:interface=127.0.0.1", cwd=tmp_path, scripts=installed
    )
    try:
        port = daemon.address("tcp").port
        with socket.create_connection(("127.0.0.1", port or 0), timeout=60) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as reply:
                assert reply.read() == b"hello"
    finally:
        daemon.stop()

    if "wheel" in request.node.name:
        runPlugin(installed, tmp_path)

    call(installed / "pip", "uninstall", "--yes", "txnetkit", cwd=tmp_path)
    call(installed / "python", "-c", "import twisted.plugins, twisted.web.server", cwd=tmp_path)
    offered = call(installed / "twistd", "--help", cwd=tmp_path)
    assert "netkit" not in offered
    assert " web " in offered
    assert not list(installed.parent.rglob("*netkit*"))
