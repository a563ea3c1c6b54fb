"""The digest agent."""
