"""The verbs of the command line that come in groups. Their imports stay inside the verbs."""
