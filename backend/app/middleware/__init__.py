"""What every request passes, as plain ASGI: naming it, bounding it, logging it."""
