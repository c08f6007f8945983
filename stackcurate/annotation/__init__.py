"""What people say about findings: samples to label, precision and recall from the labels, an evaluation set."""
