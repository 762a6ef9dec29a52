"""The only room with a socket: HTTP and WebSocket exchange, JSON-RPC, endpoints and their pool."""
