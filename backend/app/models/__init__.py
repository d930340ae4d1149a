"""Tables, one module each. Rows stay below the services; answers are schemas."""
