"""From release shards to a model: tokeniser, stream of rows, and what trains on them. Beside the floors: no Spark."""
