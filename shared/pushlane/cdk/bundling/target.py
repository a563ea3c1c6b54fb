"""The platform that a bundle is for: Lambda's Graviton Python, or this machine for the embedded AWS."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from packaging.markers import default_environment


@dataclass(frozen=True, kw_only=True)
class Target:
    """`name` keys the cache; `uv_arguments` select wheels; `markers` decide which requirements apply."""

    name: str
    uv_arguments: tuple[str, ...]
    markers: Mapping[str, str] = field(hash=False)


AWS_TARGET: Final = Target(
    name="lambda-python3.13-arm64",
    uv_arguments=("--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13"),
    markers={
        "implementation_name": "cpython",
        "implementation_version": "3.13.0",
        "os_name": "posix",
        "platform_machine": "aarch64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": "3.13.0",
        "python_version": "3.13",
        "sys_platform": "linux",
    },
)


def host_target() -> Target:
    """This machine and this interpreter: the embedded AWS runs functions under its own interpreter."""
    markers = {key: str(value) for key, value in default_environment().items()}
    name = f"host-{sys.implementation.cache_tag}-{markers['sys_platform']}-{markers['platform_machine']}"
    return Target(name=name, uv_arguments=("--python", sys.executable), markers=markers)
