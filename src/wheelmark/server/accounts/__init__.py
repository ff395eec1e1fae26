"""Who may: users, second factors, tokens, permissions, security events."""
