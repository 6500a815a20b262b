"""MCP: the protocol over JSON-RPC, and what it serves. It never sees storage."""
