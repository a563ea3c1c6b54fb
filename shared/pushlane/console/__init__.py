"""The console's page: plain files that a browser runs as they are. `pushlane.api.console` serves them."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
