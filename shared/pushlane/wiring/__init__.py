"""The composition root: settings from the environment, clients, adapters and logging, put together per function.

Nothing is built at import. Each `build_*` is cached: a warm Lambda keeps what it built.
"""
