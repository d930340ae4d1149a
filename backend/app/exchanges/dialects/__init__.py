"""One module per exchange: how it signs, refuses and tells what a key may do."""
