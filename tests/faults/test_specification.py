"""
Tests for L{netkit.faults.specification}: faults as people write them.
"""

from __future__ import annotations

import pytest

from netkit.faults import KINDS, Fault, parseFault
from netkit.faults.specification import Side, Unit

# What has to be said of some kinds.
NEEDED = {
    "latency": "delay=1",
    "throttle": "rate=10",
    "slice": "size=3",
    "slow-close": "delay=1",
    "delay-head": "delay=1",
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind: str) -> None:
    fault = parseFault(f"{kind}:{NEEDED.get(kind, '')}".removesuffix(":"))
    assert fault.kind == kind
    assert set(fault.values) == set(KINDS[kind].parameters)
    assert parseFault(str(fault)) == fault


def test_everything_that_can_be_said() -> None:
    text = (
        "reset:upstream,octets=10,probability=0.5,first=3,every=2,after=7,client=10.0.0.0/8,"
        "path=/api/*,method=POST"
    )
    fault = parseFault(text)
    assert fault.side is Side.UPSTREAM
    assert fault.values["octets"] == 10
    assert (fault.probability, fault.first, fault.every, fault.after) == (0.5, 3, 2, 7)
    assert fault.unit is Unit.REQUEST
    assert parseFault(str(fault)) == fault


@pytest.mark.parametrize(
    ("said", "seconds"), [("100ms", 0.1), ("2s", 2.0), ("0.5", 0.5), ("86400s", 86400.0)]
)
def test_seconds(said: str, seconds: float) -> None:
    assert parseFault(f"latency:delay={said}").values["delay"] == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("latencies:delay=1", "'latencies' is no kind of fault: latency, throttle"),
        ("", "'' is no kind of fault"),
        ("latency", "latency: delay= has to be said"),
        ("latency:delay", "latency: 'delay' cannot be said of it: delay=, jitter=, probability="),
        ("latency:delay=-1", "latency: delay=-1 is not a number of seconds"),
        ("latency:delay=1m", "latency: delay=1m is not a number of seconds"),
        ("latency:delay=1e9", "latency: delay=1e9 is not a number of seconds up to 86400"),
        ("latency:delay=1,size=3", "latency: 'size=3' cannot be said of it"),
        ("throttle:rate=0", "throttle: rate=0 is not a whole number above 0"),
        ("flip:share=2", "flip: share=2 is not a number from 0 to 1"),
        ("flip:probability=-1", "flip: probability=-1 is not a number from 0 to 1"),
        ("status:status=100", "status: status=100 is not a status from 200 to 999"),
        ("close:code=70000", "close: code=70000 is not a close code up to 65535"),
        ("refuse:client=nobody", "refuse: client=nobody is not an address or a network"),
        ("cut:upstream", "cut: it strikes what the server sends, which is downstream"),
        ("refuse:path=/x", "refuse: it strikes a connection, and no single request"),
        ("refuse:sideways", "refuse: 'sideways' cannot be said of it"),
        ("flip:share=nan", "flip: share=nan is not a number from 0 to 1"),
        ("limit:octets=1,octets=2", "limit: octets is said twice, the second time by 'octets=2'"),
        ("flip:first=1,first=1", "flip: first is said twice"),
        ("flip:upstream,downstream", "flip: its direction is said twice"),
        ("refuse:every=0", "refuse: every=0 is not a whole number above 0"),
    ],
)
def test_mistakes_are_named(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 # its text is looked at
        parseFault(text)
    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


def test_a_comma_may_stand_for_the_colon() -> None:
    assert parseFault("latency,delay=1,path=/a:b") == parseFault("latency:delay=1,path=/a:b")


@pytest.mark.parametrize(
    ("client", "address", "concerned"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("::1", None, False),
        ("::1", "not an address", False),
    ],
)
def test_clients(client: str, address: str | None, concerned: bool) -> None:
    assert parseFault(f"refuse:client={client}").concerns(address) is concerned
    assert Fault("refuse").concerns(address)
