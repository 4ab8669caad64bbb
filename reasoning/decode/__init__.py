"""The compiled loop: contracts, transforms, controllers, slots and the engine."""
