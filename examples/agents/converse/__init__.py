"""The converse agent."""
