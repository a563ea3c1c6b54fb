"""Docker-free bundles: a handler's import closure and the locked distributions it needs, as one deterministic zip."""

from pushlane.cdk.bundling.bundle import Bundle, BundlePlan, build_bundle
from pushlane.cdk.bundling.closure import Closure, ClosureError, import_closure
from pushlane.cdk.bundling.requirements import Pin, RequirementsError, pinned_requirements, read_lock
from pushlane.cdk.bundling.sources import Sources
from pushlane.cdk.bundling.target import AWS_TARGET, Target, host_target
from pushlane.cdk.bundling.vendor import VendorError, installed_pins, vendored_archive

__all__ = [
    "AWS_TARGET",
    "Bundle",
    "BundlePlan",
    "Closure",
    "ClosureError",
    "Pin",
    "RequirementsError",
    "Sources",
    "Target",
    "VendorError",
    "build_bundle",
    "host_target",
    "import_closure",
    "installed_pins",
    "pinned_requirements",
    "read_lock",
    "vendored_archive",
]
