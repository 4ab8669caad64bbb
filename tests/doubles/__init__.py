"""Stand-ins for models and tokenizers, small and exact; public, so that a fork can test its method on them."""
