"""All SQL. Every query on a user's data names the owner; none commits."""
