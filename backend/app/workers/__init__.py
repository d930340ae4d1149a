"""What runs beside the requests, in bounded ticks."""
