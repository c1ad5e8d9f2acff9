"""The build: its stages in their order, the run that resumes, and importing."""
