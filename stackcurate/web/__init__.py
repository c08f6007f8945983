"""The web page of a release: look up, opt out, find the source of code, read the funnel and the card."""
