"""Leading: one worker of a role has all partitions, and writes its state to a compacted topic."""
