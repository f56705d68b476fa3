"""Jobs: what has to happen on time, whoever calls or nobody does."""
