"""Kraken Spot over REST and WebSocket v2."""
