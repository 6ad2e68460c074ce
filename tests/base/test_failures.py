"""
Tests for L{netkit.base.failures}.
"""

from __future__ import annotations

import gc
import sys
import traceback
import weakref
from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import TimeoutError
from twisted.python.failure import Failure

from netkit.base.failures import releaseFrames, untraced


@pytest.fixture
def noCollection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Upload(bytearray):
    """
    What a coroutine has in a variable.
    """


def failing(cause: Exception, uploads: list[weakref.ref[Upload]]) -> Deferred[None]:
    waiting = Deferred[None]()

    async def inner() -> None:
        upload = Upload()
        uploads.append(weakref.ref(upload))
        await waiting

    async def outer() -> None:
        try:
            await Deferred.fromCoroutine(inner())
        except ValueError as error:
            raise RuntimeError("broken") from error

    failed = Deferred.fromCoroutine(outer())
    waiting.errback(cause)
    return failed


@pytest.mark.usefixtures("noCollection")
def test_a_coroutines_variables_go_with_its_failure() -> None:
    uploads: list[weakref.ref[Upload]] = []
    failing(ValueError("cause"), uploads).addErrback(releaseFrames)
    assert [upload() for upload in uploads] == [None]


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="there a frame leads to its callers: no traceback is kept"
)
def test_it_is_still_told_where_the_failure_was_raised() -> None:
    failures: list[Failure] = []
    failing(ValueError("cause"), []).addErrback(failures.append)
    [failure] = failures
    releaseFrames(failure)
    told = "".join(traceback.format_exception(failure.value))
    assert "in outer" in told
    assert "in inner" in told
    assert "_inlineCallbacks" not in told


class Particular(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize(
    ("error", "copied"),
    [(TimeoutError(string="a: late"), True), (ValueError(1, 2), True), (Particular(1, 2), False)],
)
def test_an_exception_that_is_raised_again_and_again(error: Exception, copied: bool) -> None:
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            raise untraced(error)
        assert (str(caught.value), caught.value.args) == (str(error), error.args)
        assert (caught.value is not error) is copied
    if copied:
        assert error.__traceback__ is None
