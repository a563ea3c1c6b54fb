"""The reply agent, a LangGraph graph."""
