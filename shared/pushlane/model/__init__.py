"""The vocabulary of Pushlane as frozen values: no I/O, no clock, no randomness."""
