"""Weights: files and names of others in, our parameter tree out; the catalogue of what can be fetched."""
