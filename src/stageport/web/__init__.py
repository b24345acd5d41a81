"""What a running service shows over HTTP: health, metrics, status, and the webhook that asks for a resync."""
