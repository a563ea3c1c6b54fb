"""Sample agents: each folder is one agent, `documents` is the pure code that the document agents share."""
