"""HTTP: request and response values, routes, REST v1, the MCP endpoints, the last-resort error boundary."""
