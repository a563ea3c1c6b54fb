"""The imperative shell of the platform: intake, turns, lifecycle and sweep, over the ports."""
