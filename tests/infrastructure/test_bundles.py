"""Bundles: the closure is complete, nothing else is in it, and the same input gives the same bytes."""

import hashlib
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from pushlane.cdk.bundling import (
    AWS_TARGET,
    BundlePlan,
    ClosureError,
    RequirementsError,
    Sources,
    VendorError,
    build_bundle,
    host_target,
    import_closure,
    installed_pins,
    pinned_requirements,
)
from pushlane.cdk.bundling.requirements import Pin

pytestmark = [pytest.mark.xdist_group("bundles"), pytest.mark.long]  # what these tests share is expensive

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = REPOSITORY / "requirements.lock"
DECIDING = ("router", "lifecycle", "streamer", "sweep", "registry")
EDGE = ("api", "authorizer", "sockets", "courier")
OWN = tuple(f"lambdas.{name}.handler" for name in (*DECIDING, *EDGE))
AGENTS = tuple(f"examples.agents.{name}.handler" for name in ("extract", "summarize", "digest", "chaos", "graph"))
IMPORT = "import importlib, sys; sys.path[:0] = [sys.argv[1]]; importlib.import_module(sys.argv[2]).handler"


def sources_of(entry: str) -> Sources:
    return Sources.of_pushlane() if entry.startswith("lambdas.") else Sources.of_app(REPOSITORY)


@pytest.fixture(scope="module")
def vendored(tmp_path_factory: pytest.TempPathFactory) -> BundlePlan:
    folder = tmp_path_factory.mktemp("build")
    return BundlePlan(vendor=True, target=host_target(), build_folder=folder, requirements_lock=LOCK)


@pytest.mark.parametrize("entry", [*OWN, *AGENTS])
def test_a_handler_is_importable_from_its_bundle_alone(entry: str, vendored: BundlePlan, tmp_path: Path) -> None:
    """Isolated, without site-packages: what is missing in the bundle is missing here."""
    services = ("dynamodb", "sqs", "sns", "events", "s3", "secretsmanager")
    bundle = build_bundle(entry, sources_of(entry), services, vendored)
    with zipfile.ZipFile(bundle.archive) as opened:
        opened.extractall(tmp_path)
    command = [sys.executable, "-I", "-S", "-c", IMPORT, str(tmp_path), entry]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={})
    assert result.returncode == 0, result.stderr


def test_a_bundle_holds_no_other_handler_and_no_test(vendored: BundlePlan) -> None:
    bundle = build_bundle("lambdas.router.handler", Sources.of_pushlane(), ("dynamodb", "sqs"), vendored)
    with zipfile.ZipFile(bundle.archive) as opened:
        names = opened.namelist()
    assert len(names) == len(set(names))
    handlers = [name for name in names if name.endswith("/handler.py") and name.startswith("lambdas/")]
    assert handlers == ["lambdas/router/handler.py"]
    assert not [name for name in names if name.startswith(("pushlane/cdk/", "pushlane/cli/", "pushlane/client/"))]
    assert not [name for name in names if "/tests/" in name or name.endswith((".pyc", "/RECORD", "/INSTALLER"))]


def test_botocore_knows_only_the_declared_services(vendored: BundlePlan) -> None:
    bundle = build_bundle("lambdas.router.handler", Sources.of_pushlane(), ("dynamodb", "sqs"), vendored)
    with zipfile.ZipFile(bundle.archive) as opened:
        data = [name.split("/")[2:] for name in opened.namelist() if name.startswith("botocore/data/")]
    assert {parts[0] for parts in data if len(parts) > 1} == {"dynamodb", "sqs"}
    shared = {parts[0] for parts in data if len(parts) == 1}
    assert shared == {"endpoints.json", "partitions.json", "sdk-default-configuration.json", "_retry.json"}
    assert bundle.archive.stat().st_size < 8 * 2**20


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    def digest(folder: Path) -> tuple[str, str]:
        plan = BundlePlan(vendor=True, target=host_target(), build_folder=folder, requirements_lock=LOCK)
        archive = build_bundle("lambdas.lifecycle.handler", Sources.of_pushlane(), ("sqs",), plan).archive
        return archive.name, hashlib.sha256(archive.read_bytes()).hexdigest()

    assert digest(tmp_path / "one") == digest(tmp_path / "two")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A small foreign app with the import forms that matter."""
    files = {
        "mine/__init__.py": "",
        "mine/handler.py": """
            from typing import TYPE_CHECKING

            from mine import near
            from mine.deep.inner import thing

            if TYPE_CHECKING:
                import boto3
            try:
                import not_installed_anywhere
            except ImportError:
                pass

            def handler() -> object:
                from mine import lazy

                return lazy, near, thing
            """,
        "mine/near.py": "from . import sibling",
        "mine/sibling.py": "import json, msgspec",
        "mine/lazy.py": "",
        "mine/unused.py": "",
        "mine/deep/__init__.py": "",
        "mine/deep/inner.py": "from ..sibling import json as thing",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path


def test_the_closure_follows_lazy_relative_and_member_imports(app: Path) -> None:
    closure = import_closure("mine.handler", Sources.of_app(app))
    names = ["__init__", "deep/__init__", "deep/inner", "handler", "lazy", "near", "sibling"]
    assert list(closure.files) == [f"mine/{name}.py" for name in names]
    assert closure.third_party == {"msgspec"}


def test_computed_imports_are_named_by_hand(app: Path) -> None:
    closure = import_closure("mine.handler", Sources.of_app(app), include=("mine.unused",))
    assert "mine/unused.py" in closure.files


def test_an_import_that_cannot_be_satisfied_names_the_importer(app: Path) -> None:
    (app / "mine/near.py").write_text("import no_such_library")
    with pytest.raises(ClosureError, match=r"mine/near.py imports no_such_library, which is not installed here"):
        import_closure("mine.handler", Sources.of_app(app))
    (app / "mine/near.py").write_text("import mine.nowhere")
    with pytest.raises(ClosureError, match=r"mine/near.py needs mine.nowhere, and there is no module mine.nowhere"):
        import_closure("mine.handler", Sources.of_app(app))


def test_a_change_of_the_source_changes_the_bundle(app: Path, tmp_path: Path) -> None:
    plan = BundlePlan(vendor=False, target=host_target(), build_folder=tmp_path / "b", requirements_lock=None)
    before = build_bundle("mine.handler", Sources.of_app(app), (), plan).archive
    (app / "mine/unused.py").write_text("changed = True")
    assert build_bundle("mine.handler", Sources.of_app(app), (), plan).archive == before
    (app / "mine/lazy.py").write_text("changed = True")
    assert build_bundle("mine.handler", Sources.of_app(app), (), plan).archive != before


def test_pins_are_those_of_the_target_with_their_hashes() -> None:
    """The lock holds two versions of numpy; Lambda's Python takes the newer one."""
    on_aws = {pin.name: pin for pin in pinned_requirements({"numpy", "boto3"}, AWS_TARGET, LOCK)}
    assert on_aws.keys() == {
        *("boto3", "botocore", "jmespath", "numpy", "python-dateutil", "s3transfer", "six", "urllib3")
    }
    assert all(pin.hashes for pin in on_aws.values())
    if sys.version_info < (3, 12):
        on_host = {pin.name: pin.version for pin in pinned_requirements({"numpy"}, host_target(), LOCK)}
        assert on_host["numpy"] != on_aws["numpy"].version


def test_a_distribution_that_the_lock_does_not_pin_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("msgspec==0.0.1 --hash=sha256:00\n")
    with pytest.raises(RequirementsError, match="does not pin boto3, botocore"):
        pinned_requirements({"boto3"}, AWS_TARGET, lock)


def test_without_a_lock_the_installed_versions_are_pinned() -> None:
    (pin,) = pinned_requirements({"msgspec"}, AWS_TARGET, None)
    assert pin.name == "msgspec"
    assert pin.version
    assert pin.hashes == ()


def test_a_failed_install_leaves_no_cache_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    cache = tmp_path / "vendor"
    with pytest.raises(VendorError, match="installing the bundle's packages"):
        installed_pins((Pin("six", "1.0.0", ("sha256:" + "0" * 64,)),), host_target(), cache)
    assert list(cache.iterdir()) == []
