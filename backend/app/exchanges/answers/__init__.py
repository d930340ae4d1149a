"""One module per exchange: its success answers, rendered from the sandbox's own values."""
