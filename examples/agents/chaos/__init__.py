"""The chaos agent, for local tests only."""
