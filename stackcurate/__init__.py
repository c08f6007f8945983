"""stackcurate: build, check and maintain code datasets of the kind of The Stack."""
