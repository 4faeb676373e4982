"""Hyperliquid perps and spot over REST and WebSocket."""
