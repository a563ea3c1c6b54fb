"""Where first-party modules lie: the app's own folder, the `pushlane` package and Pushlane's own handlers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import pushlane

_PACKAGE: Final = Path(pushlane.__file__).resolve().parent


def pushlane_handlers() -> Path:
    """The folder of Pushlane's own handlers: package data in the wheel, `lambdas/` in the repository."""
    packaged = _PACKAGE / "_lambdas"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "lambdas"


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Folders of first-party code. `root` holds top-level modules; `packages` maps a top-level name to its folder."""

    root: Path | None
    packages: Mapping[str, Path] = field(default_factory=lambda: {"pushlane": _PACKAGE})

    @classmethod
    def of_app(cls, root: Path) -> Self:
        """The code of a CDK app: everything importable with `root` on the path, and `pushlane`."""
        return cls(root=root.resolve())

    @classmethod
    def of_pushlane(cls) -> Self:
        """Pushlane's own handlers, as `lambdas.*`, wherever the package is installed."""
        return cls(root=None, packages={"pushlane": _PACKAGE, "lambdas": pushlane_handlers()})

    def owns(self, module: str) -> bool:
        """Whether the module's top-level package is first-party."""
        top_level = module.partition(".")[0]
        return top_level in self.packages or (self.root is not None and _is_module(self.root / top_level))

    def locate(self, module: str) -> Path | None:
        """The file of a module, its folder if it is a namespace package, or None if there is no such module."""
        top_level, _, rest = module.partition(".")
        base = self.packages.get(top_level) or (self.root / top_level if self.root else None)
        if base is None:
            return None
        return _module_file(base.joinpath(*rest.split(".")) if rest else base)


def _is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path.is_dir() and any(path.rglob("*.py")))


def _module_file(path: Path) -> Path | None:
    candidates = (path / "__init__.py", path.with_name(path.name + ".py"))
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    return found or (path if path.is_dir() else None)
