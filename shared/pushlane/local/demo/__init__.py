"""The demonstration: a whole Pushlane on this machine, real documents, all doors, and an account of every task."""
