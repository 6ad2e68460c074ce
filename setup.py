"""
The one thing that F{setup.cfg} cannot say: what is compiled.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            f"{package}.native",
            [f"{package.replace('.', '/')}/native.c"],
            depends=["netkit/base/native.h"],
            # Where there is no compiler, or it fails, the same in Python is used.
            optional=True,
            # One build for this version of Python and all that follow.
            py_limited_api=True,
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
        )
        for package in (
            "netkit.capture.views.lanes",
            "netkit.operation.exchanges",
            "netkit.reactor.channels",
            "netkit.wire.http.scanning",
            "netkit.wire.recording.contents",
            "netkit.wire.websocket.codec",
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
