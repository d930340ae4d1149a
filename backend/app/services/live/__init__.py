"""Telling whoever listens: channels of numbered messages, and the WebSockets that carry them."""
