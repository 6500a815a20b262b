"""Access: keys, scopes and plans; who may do what."""
