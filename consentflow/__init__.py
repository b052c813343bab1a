"""consentflow: durable, provable privacy notices and double opt-ins for registered leads."""
