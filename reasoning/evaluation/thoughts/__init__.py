"""What happens inside a response: thinking tokens, thoughts, switches, underthinking."""
