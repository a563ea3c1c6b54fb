"""Pushlane: push-based dispatch of AI-agent tasks on serverless AWS.

Importing this package imports no AWS library; adapters live in `pushlane.aws` and are wired in `pushlane.wiring`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
