"""Mutation tests: each mutant has one mistake in the core, and the tests of its module should fail."""
