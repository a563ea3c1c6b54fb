"""How the CDK app is synthesised for the embedded AWS."""

from collections.abc import Mapping
from typing import Final

# An app's own `cdk.json` may name the stage that it has on AWS. The embedded AWS runs functions under this very
# interpreter, which has every third-party package already. Bundles that bring their own copies start many times slower
# there, for nothing: each worker unpacks and compiles them anew.
LOCAL_CONTEXT: Final[Mapping[str, str | bool]] = {"stage": "local", "vendor": False}
