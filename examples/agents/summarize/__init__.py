"""The summarize agent."""
