"""The extract agent."""
