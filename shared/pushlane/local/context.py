"""How the CDK app is synthesised for the embedded AWS."""

from collections.abc import Mapping
from typing import Final

# The embedded AWS runs functions under this very interpreter, which has every third-party package already. Bundles that
# bring their own copies start many times slower there, for nothing: each worker unpacks and compiles them anew.
LOCAL_CONTEXT: Final[Mapping[str, bool]] = {"vendor": False}
