"""The venue's durable engine: one writer per shard, around the pure matching core."""
