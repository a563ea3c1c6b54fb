"""Settings of the property tests: the machine may be busy, so no single example has a deadline."""

from hypothesis import settings

settings.register_profile("pushlane", deadline=None)
settings.load_profile("pushlane")
