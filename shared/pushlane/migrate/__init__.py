"""The way from a polling fleet to push, one tenant at a time, and back: measure, mirror, switch, compare.

`pushlane.migrate.instrument` is for the fleet as it is; it needs neither AWS nor an installation.
"""
