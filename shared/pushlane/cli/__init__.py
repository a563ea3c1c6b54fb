"""The `pushlane` command. Needs the extra `cli`; `up`, `down` and `demo` need the extra `local`."""
