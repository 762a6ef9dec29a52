"""The use cases. They know ports, not chains, and give every entry point the same answer."""
