"""Publish: policy, election, export and what travels with a release."""
