"""The doors: parse, authorise, call one service method, answer."""
