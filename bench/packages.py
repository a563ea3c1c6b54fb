"""What a cold start pays for: CPU time to import each function, in its own process, and the size of its package."""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct

from bench.place import ROOT
from pushlane.local.endpoint import local_environment

AGENT: Final = "agent"
FUNCTIONS: Final = (*sorted(file.parent.name for file in (ROOT / "lambdas").glob("*/handler.py")), AGENT)
# Of botocore's data, what the functions that call most need: others have less.
_SERVICES: Final = ("dynamodb", "sqs", "s3", "events", "sns", "secretsmanager", "scheduler", "lambda")
_TIMEOUT_SECONDS: Final = 120
_BUILD_SECONDS: Final = 300
# Printed is the CPU time of the import; the interpreter's own start is not in it.
_PROGRAM: Final = """
import importlib, sys, time
began = time.process_time()
importlib.import_module(sys.argv[1])
print((time.process_time() - began) * 1_000)
"""


class Package(Struct, frozen=True, kw_only=True):
    """Of one function, zipped: its own code, and all of it with the packages for AWS (None where those could not be
    installed).
    """

    own_kb: int
    whole_kb: int | None


def entry_of(function: str) -> str:
    """The module of a function's handler."""
    return "examples.greeter.handler" if function == AGENT else f"lambdas.{function}.handler"


def import_ms(function: str, times: int) -> float:
    """The median CPU milliseconds of so many imports, after one that fills the caches of the file system. Raises
    `subprocess.CalledProcessError` when it cannot be imported.
    """
    found = [_import_once(entry_of(function)) for _ in range(times + 1)]
    return round(median(found[1:]), 1)


def _import_once(module: str) -> float:
    environment = {
        **local_environment("http://127.0.0.1:1"),
        "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "PATH": str(Path(sys.executable).parent),
    }
    command = [sys.executable, "-c", _PROGRAM, module]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True
    )
    return float(done.stdout)


def packages_kb() -> dict[str, Package]:
    """Of every function. In a process of its own: the CDK, which bundles, would stay in this one, and its Node too."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }
    command = [sys.executable, "-m", "bench.packages"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=True
    )
    return msgspec.json.decode(done.stdout, type=dict[str, Package])


def package(function: str) -> Package:
    """The size of its bundle; the packages are installed once and kept under build/vendor."""
    from pushlane.cdk.bundling import RequirementsError, VendorError

    own = _archive_kb(function, vendor=False)
    try:
        whole = _archive_kb(function, vendor=True)
    except (VendorError, RequirementsError):
        whole = None
    return Package(own_kb=own, whole_kb=whole)


def _archive_kb(function: str, *, vendor: bool) -> int:
    from pushlane.cdk.bundling import AWS_TARGET, BundlePlan, Sources, build_bundle

    plan = BundlePlan(
        vendor=vendor,
        target=AWS_TARGET,
        build_folder=ROOT / "build",
        requirements_lock=ROOT / "requirements.lock",
    )
    sources = Sources.of_app(ROOT) if function == AGENT else Sources.of_pushlane()
    bundle = build_bundle(entry_of(function), sources, _SERVICES, plan)
    return round(bundle.archive.stat().st_size / 1_000)


if __name__ == "__main__":
    print(msgspec.json.encode({function: package(function) for function in FUNCTIONS}).decode())
