"""The HTTP and WebSocket application: operations as values, and one way from an event to an answer."""
