"""The decoder: configuration, layers, cache and the forward pass, in Flax NNX."""
